import { type Duration, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { typeid } from "typeid-js";
import type { Database } from "../../db/pool.ts";
import type { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { type EasyCronError, failure } from "../../mesh/errors.ts";
import { readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { describeEnd } from "../access/api-key-end.ts";
import { createApiKeySecret, hashSecret, type KeyKind, toSecretPrefix } from "../access/api-key-secret.ts";
import {
  type ApiKeyRow,
  apiKeyEnds,
  apiKeyInsert,
  apiKeyRevoke,
  apiKeyRotateIfValid,
  apiKeysBefore,
} from "../access/api-keys.sql.ts";
import { projectById } from "../access/projects.sql.ts";

/** What the handlers of ApiKeyService need. */
export interface ApiKeyServiceParts {
  readonly database: Database;
  /** Which keys are created. */
  readonly keyKind: KeyKind;
}

const DEFAULT_PAGE_SIZE = 50;
const DEFAULT_OVERLAP_MS = 86_400_000;

/** Returns the handlers of ApiKeyService. */
export function createApiKeyService({
  database,
  keyKind,
}: ApiKeyServiceParts): ServiceImpl<typeof ApiKeyService> {
  return {
    createApiKey: async ({ project, apiKey }) => {
      const { id, secret, hash, prefix } = newKey(keyKind);
      const values = [id, project, apiKey?.displayName ?? "", hash, prefix];
      const [row] = await database.query(apiKeyInsert, values);
      if (row === undefined) throw failure("PROJECT_NOT_FOUND", { project });
      return { apiKey: toApiKey(row), secret };
    },

    listApiKeys: async ({ project, pageSize, pageToken }) => {
      const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
      const list = ["apiKeys", project];
      const before = readPageToken(list, pageToken);
      const rows = await database.query(apiKeysBefore, [project, before === "" ? null : before, size + 1]);
      if (rows.length === 0) await requireProject(database, project);
      const page = rows.slice(0, size);
      const last = rows.length > size ? page.at(-1) : undefined;
      return {
        apiKeys: page.map(toApiKey),
        nextPageToken: last === undefined ? "" : toPageToken(list, last.id),
      };
    },

    rotateApiKey: async ({ id: oldId, overlap }) => {
      const { id, secret, hash, prefix } = newKey(keyKind);
      const values = [oldId, toOverlapMs(overlap), id, hash, prefix];
      const rows = await database.query(apiKeyRotateIfValid, values);
      const [created, old] = [id, oldId].map((wanted) => rows.find((row) => row.id === wanted));
      if (created === undefined || old === undefined) throw await toRotateFailure(database, oldId);
      return { apiKey: toApiKey(created), secret, oldApiKey: toApiKey(old) };
    },

    revokeApiKey: async ({ id }) => {
      const [row] = await database.query(apiKeyRevoke, [id]);
      if (row === undefined) throw failure("API_KEY_NOT_FOUND", { id });
      return { apiKey: toApiKey(row) };
    },
  };
}

function newKey(kind: KeyKind) {
  const secret = createApiKeySecret(kind);
  const id = typeid("key").toString();
  return { id, secret, hash: hashSecret(secret), prefix: toSecretPrefix(secret) };
}

function toOverlapMs(overlap: Duration | undefined): number {
  return overlap === undefined ? DEFAULT_OVERLAP_MS : durationMs(overlap);
}

async function requireProject(database: Database, project: string): Promise<void> {
  const [row] = await database.query(projectById, [project]);
  if (row === undefined) throw failure("PROJECT_NOT_FOUND", { project });
}

async function toRotateFailure(database: Database, id: string): Promise<EasyCronError> {
  const [row] = await database.query(apiKeyEnds, [id]);
  return row === undefined
    ? failure("API_KEY_NOT_FOUND", { id })
    : failure("API_KEY_ENDED", { id, problem: `it ${describeEnd(row)}` });
}

function toApiKey(row: ApiKeyRow) {
  return {
    id: row.id,
    displayName: row.display_name,
    secretPrefix: row.secret_prefix,
    createTime: timestampFromMs(row.create_time),
    ...(row.last_use_time === null ? {} : { lastUseTime: timestampFromMs(row.last_use_time) }),
    ...(row.expire_time === null ? {} : { expireTime: timestampFromMs(row.expire_time) }),
    ...(row.revoke_time === null ? {} : { revokeTime: timestampFromMs(row.revoke_time) }),
  };
}
