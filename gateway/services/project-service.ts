import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { typeid } from "typeid-js";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type {
  DispatcherService,
  Retention,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Alerts } from "../../gen/easycron/v1/alert_pb.ts";
import type {
  CreateProjectRequest,
  ProjectService,
  UpdateProjectRequest,
} from "../../gen/easycron/v1/project_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { projectInsert, projectRead, projectRename } from "../access/projects.sql.ts";
import { toCallOptions } from "./call-options.ts";
import { type JobRules, projectAlertErrors } from "./job-rules.ts";

/** What the handlers of ProjectService and ApiKeyService need. */
export interface OwnParts {
  readonly database: Database;
  readonly clock: Clock;
}

/** What the handlers of ProjectService need. The dispatcher keeps for how long triggers are kept, and the alerts. */
export interface ProjectServiceParts extends OwnParts {
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
}

const UPDATABLE = ["display_name", "retention_days", "alerts"];

/** Returns what the methods that write a project check besides the rules of its proto: its alerts, as those of a job. */
export function createProjectRules(rules: Pick<JobRules, "allow" | "deny">) {
  return {
    createProject: ({ project }: CreateProjectRequest) => projectAlertErrors(project?.alerts, rules),
    updateProject: ({ project, updateMask }: UpdateProjectRequest) => {
      const paths = updateMask?.paths ?? [];
      const isWritten = paths.length === 0 || paths.includes("alerts") || paths.includes("*");
      return isWritten ? projectAlertErrors(project?.alerts, rules) : [];
    },
  };
}

/** Returns the handlers of ProjectService. */
export function createProjectService(parts: ProjectServiceParts): ServiceImpl<typeof ProjectService> {
  const { database, dispatcher, clock } = parts;
  return {
    createProject: async ({ project }, context) => {
      const id = typeid("proj").toString();
      const { displayName = "", retentionDays = 0, alerts } = project ?? {};
      if (displayName === "") throw nameMissing();
      // First, so that a project never keeps its triggers for a shorter time than it was created with.
      const retention =
        retentionDays === 0
          ? undefined
          : (await dispatcher.updateRetention({ projectId: id, days: retentionDays }, toCallOptions(context)))
              .retention;
      if (alerts !== undefined)
        await dispatcher.updateProjectAlerts({ projectId: id, alerts }, toCallOptions(context));
      const now = clock.now();
      await database.query(projectInsert, [id, displayName, toSqlTime(now)]);
      const createTime = timestampFromMs(now);
      return {
        project: { id, displayName, createTime, ...shownRetention(retention), ...shownAlerts(alerts) },
      };
    },
    getProject: async (_, context) => ({ project: await readProject(parts, context) }),
    updateProject: async (request, context) => {
      const { projectId } = projectOf(context);
      const { displayName, days, changesAlerts } = readChange(request);
      if (displayName !== undefined) await database.query(projectRename, [projectId, displayName]);
      if (days !== undefined) await dispatcher.updateRetention({ projectId, days }, toCallOptions(context));
      if (changesAlerts) {
        const change = { projectId, ...shownAlerts(request.project?.alerts) };
        await dispatcher.updateProjectAlerts(change, toCallOptions(context));
      }
      return { project: await readProject(parts, context) };
    },
  };
}

/** Reads what a request changes. A field that stays is undefined. Throws FIELD_INVALID, UPDATE_MASK_INVALID. */
function readChange({ project, updateMask }: UpdateProjectRequest): {
  readonly displayName: string | undefined;
  readonly days: number | undefined;
  readonly changesAlerts: boolean;
} {
  const { displayName = "", retentionDays = 0, alerts } = project ?? {};
  const set = [
    displayName === "" ? "" : "display_name",
    retentionDays === 0 ? "" : "retention_days",
    alerts === undefined ? "" : "alerts",
  ];
  const paths = updateMask?.paths.length ? updateMask.paths : set.filter((path) => path !== "");
  const wrong = paths.find((path) => path !== "*" && !UPDATABLE.includes(path));
  if (wrong !== undefined) {
    const accepted = UPDATABLE.join(", ");
    const problem = `"${wrong}" cannot be changed; accepted: ${accepted}.`;
    throw fieldFailure("UPDATE_MASK_INVALID", "updateMask", problem, { path: wrong, accepted });
  }
  const changes = (path: string) => paths.includes("*") || paths.includes(path);
  if (changes("display_name") && displayName === "") throw nameMissing();
  return {
    displayName: changes("display_name") ? displayName : undefined,
    days: changes("retention_days") ? retentionDays : undefined,
    changesAlerts: changes("alerts"),
  };
}

function nameMissing(): Error {
  return fieldFailure("FIELD_INVALID", "project.displayName", "It is empty. Give it 1 to 100 characters.");
}

async function readProject({ database, dispatcher }: ProjectServiceParts, context: HandlerContext) {
  const { projectId } = projectOf(context);
  const [row] = await database.query(projectRead, [projectId]);
  if (row === undefined) throw failure("PROJECT_NOT_FOUND", { project: projectId });
  const [{ retention }, { alerts }] = await Promise.all([
    dispatcher.getRetention({ projectId }, toCallOptions(context)),
    dispatcher.getProjectAlerts({ projectId }, toCallOptions(context)),
  ]);
  const createTime = timestampFromMs(row.create_time);
  const shown = { ...shownRetention(retention), ...shownAlerts(alerts) };
  return { id: row.id, displayName: row.display_name, createTime, ...shown };
}

const DEFAULT_DAYS = 30;

function shownRetention(retention: Retention | undefined) {
  const { days: retentionDays = DEFAULT_DAYS, floorTimeMs } = retention ?? {};
  if (floorTimeMs === undefined) return { retentionDays };
  return { retentionDays, retentionFloorTime: timestampFromMs(Number(floorTimeMs)) };
}

function shownAlerts(alerts: Alerts | undefined) {
  return alerts === undefined ? {} : { alerts };
}
