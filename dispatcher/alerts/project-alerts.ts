import { fromJsonString, type JsonObject, toJson } from "@bufbuild/protobuf";
import type { Database, Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type Alerts, AlertsSchema } from "../../gen/easycron/v1/alert_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import type { Wanted } from "../../mesh/loop.ts";
import { readAlertRule } from "./alert-rule.ts";
import {
  type ProjectAlertsRow,
  projectAlertsPage,
  projectAlertsRead,
  projectAlertsRemove,
  projectAlertsSet,
} from "./project-alerts.sql.ts";

/** Time between two looks for projects whose jobs are to be read. */
export const PROJECTS_EVERY_MS = 1_000;
/** How many jobs of a project one statement reads. */
const PAGE = 500;
/** The pause between two pages. So a dispatcher reads a project of a million jobs in about ten minutes. */
const PAUSE_MS = 250;

/** Reads the alerts of some projects, by project. Throws SERVICE_UNAVAILABLE. */
export async function readProjectAlerts(
  on: Queryable,
  projectIds: readonly string[],
): Promise<Map<string, ProjectAlertsRow>> {
  const rows = await on.query(projectAlertsRead, [[...new Set(projectIds)]]);
  return new Map(rows.map((row) => [row.project_id, row]));
}

/** Returns the alerts of a project as customers see them; undefined if it has none. Throws SERVICE_UNAVAILABLE. */
export async function getProjectAlerts(on: Queryable, projectId: string): Promise<Alerts | undefined> {
  const [row] = await on.query(projectAlertsRead, [[projectId]]);
  if (row === undefined) return undefined;
  const { alerts } = JSON.parse(row.spec) as { readonly alerts: JsonObject };
  return fromJsonString(AlertsSchema, JSON.stringify(alerts), { ignoreUnknownFields: true });
}

/**
 * Sets the alerts of a project, or removes them if `alerts` is undefined. They hold at once for every job of the project that
 * has none of its own; only for deliveredWithin the jobs are read later, page by page. Throws FIELD_INVALID if they cannot be
 * read, and SERVICE_UNAVAILABLE.
 */
export async function setProjectAlerts(
  on: Queryable,
  projectId: string,
  { alerts, nowMs }: { readonly alerts: Alerts | undefined; readonly nowMs: number },
): Promise<void> {
  if (alerts === undefined) {
    await on.query(projectAlertsRemove, [projectId]);
    return;
  }
  const spec = JSON.stringify({ alerts: toJson(AlertsSchema, alerts) });
  await on.query(projectAlertsSet, [projectId, spec, withinOf(spec), toSqlTime(nowMs)]);
}

function withinOf(spec: string): number | null {
  try {
    return readAlertRule(spec)?.withinMs ?? null;
  } catch (error) {
    const problem = `They cannot be read: ${error instanceof Error ? error.message : String(error)}. Send them corrected.`;
    throw fieldFailure("FIELD_INVALID", "project.alerts", problem);
  }
}

/**
 * Reads one page of the jobs of a project whose deliveredWithin is new, so that each of them is watched. Throws
 * SERVICE_UNAVAILABLE.
 */
export async function watchJobsOfProjects({
  database,
  clock,
}: {
  readonly database: Database;
  readonly clock: Clock;
}): Promise<Wanted> {
  const [page] = await database.query(projectAlertsPage, [toSqlTime(clock.now()), PAGE]);
  return page === undefined ? { more: false } : { more: false, againMs: PAUSE_MS };
}
