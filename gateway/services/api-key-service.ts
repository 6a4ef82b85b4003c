import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { typeid } from "typeid-js";
import { toSqlTime } from "../../db/time.ts";
import type { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createApiKeySecret, hashSecret } from "../access/api-key-secret.ts";
import { apiKeyInsert } from "../access/api-keys.sql.ts";
import type { OwnParts } from "./project-service.ts";

/** Returns the handlers of ApiKeyService. */
export function createApiKeyService({ database, clock }: OwnParts): ServiceImpl<typeof ApiKeyService> {
  return {
    createApiKey: async ({ project, apiKey }) => {
      const id = typeid("key").toString();
      const secret = createApiKeySecret();
      const displayName = apiKey?.displayName ?? "";
      const now = clock.now();
      const values = [id, project, displayName, hashSecret(secret), toSqlTime(now)];
      const rows = await database.query(apiKeyInsert, values);
      if (rows.length === 0) throw failure("PROJECT_NOT_FOUND", { project });
      return { apiKey: { id, displayName, createTime: timestampFromMs(now) }, secret };
    },
  };
}
