import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { typeid } from "typeid-js";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { ProjectService } from "../../gen/easycron/v1/project_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { projectInsert } from "../access/projects.sql.ts";

/** What the handlers of ProjectService and ApiKeyService need. */
export interface OwnParts {
  readonly database: Database;
  readonly clock: Clock;
}

/** Returns the handlers of ProjectService. */
export function createProjectService({ database, clock }: OwnParts): ServiceImpl<typeof ProjectService> {
  return {
    createProject: async ({ project }) => {
      const id = typeid("proj").toString();
      const displayName = project?.displayName ?? "";
      const now = clock.now();
      await database.query(projectInsert, [id, displayName, toSqlTime(now)]);
      return { project: { id, displayName, createTime: timestampFromMs(now) } };
    },
  };
}
