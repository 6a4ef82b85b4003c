import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import {
  type ListZoneDataImpactsRequest,
  type ListZoneDataImpactsResponse,
  ListZoneDataImpactsResponseSchema,
  type ZoneDataImpact,
  ZoneDataImpactSchema,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import { readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { gatesOfMany } from "../calendars/calendars.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { jobsOfProjectInZones } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { compareRevisions } from "../revisions/difference.ts";
import { toFireTimeDifference } from "../revisions/read.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import type { ComingRelease, ZoneRelease } from "../zones/zone-data.ts";

const DEFAULT_PAGE_SIZE = 50;
const LIST = "zoneDataImpacts";
const TWO_YEARS_MS = 731 * 86_400_000;

/** What comparing two releases takes. */
type ImpactParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

/**
 * Lists how the next release of the zone database will change the fire times of a project's jobs, a page at a time.
 *
 * It looks at the jobs in the zones that the next release changes. For each, it compares the fire times under the next
 * release with those under the release in effect, over the two years after the next release takes effect. Jobs without
 * a difference are left out, so a page may be shorter than asked for. Throws PAGE_TOKEN_INVALID.
 */
export async function listZoneDataImpacts(
  parts: ImpactParts,
  projectId: string,
  request: ListZoneDataImpactsRequest,
): Promise<ListZoneDataImpactsResponse> {
  const nowMs = parts.clock.now();
  const after = readPageToken(LIST, request.pageToken);
  const response = create(ListZoneDataImpactsResponseSchema, {
    zoneDataVersion: parts.zoneData.inForce(nowMs).version,
  });
  const coming = parts.zoneData.coming(nowMs);
  if (coming === null) return response;
  const zones = parts.zoneData.changedBy(coming.version);
  response.nextZoneDataVersion = coming.version;
  response.nextZoneDataTime = timestampFromMs(coming.effectiveMs);
  response.timeZones = [...zones].sort();
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const rows = await parts.database.query(jobsOfProjectInZones, [projectId, zones, after, size + 1]);
  const page = rows.slice(0, size);
  response.impacts = await impactsOf(parts, projectId, page, coming);
  const last = page.at(-1);
  if (rows.length > size && last !== undefined) response.nextPageToken = toPageToken(LIST, last.name);
  return response;
}

async function impactsOf(
  parts: Omit<ImpactParts, "clock">,
  projectId: string,
  rows: readonly JobRow[],
  coming: ComingRelease,
): Promise<ZoneDataImpact[]> {
  const next = parts.zoneData.release(coming.version);
  const schedules = rows.map((row) => parts.schedules.of(row));
  const references = schedules.map(({ calendars }) => ({ projectId, references: calendars }));
  const before = await gatesOfMany(parts.database, parts.zoneData, references);
  return rows.flatMap((row, index) => {
    const schedule = schedules[index];
    if (schedule === undefined) return [];
    const gates = before[index] ?? [];
    const moved = compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData: next });
    const difference = compareRevisions(
      { schedule, gates },
      { schedule: moved, gates: gates.map((gate) => withRelease(gate, next)) },
      coming.effectiveMs,
      TWO_YEARS_MS,
    );
    if (difference.added.length + difference.removed.length === 0) return [];
    const { name: job, uid: jobUid } = row;
    return create(ZoneDataImpactSchema, {
      job,
      jobUid,
      difference: toFireTimeDifference(difference, coming.effectiveMs),
    });
  });
}

/** Returns the calendar with its zone as the release has it. */
function withRelease(gate: CalendarGate, release: ZoneRelease): CalendarGate {
  return { ...gate, calendar: { ...gate.calendar, zone: release.zones(gate.calendar.zone.name) } };
}
