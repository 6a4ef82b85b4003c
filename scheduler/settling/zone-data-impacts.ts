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
import { gatesOf } from "../calendars/calendars.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { jobsOfProject, jobsOfProjectInZones, type ZoneJobRow } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { compareRevisions } from "../revisions/difference.ts";
import { toFireTimeDifference } from "../revisions/read.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { runInSlices } from "../schedules/slices.ts";
import type { ComingRelease, ZoneRelease } from "../zones/zone-data.ts";

const DEFAULT_PAGE_SIZE = 50;
const LIST = "zoneDataImpacts";
const TWO_YEARS_MS = 731 * 86_400_000;
/** Most jobs that one statement looks at. */
const LOOK = 500;
/** Most jobs whose specifications are read at once. */
const READ = 20;
/** After this time a call ends its page with the job that it has just compared. */
const BUDGET_MS = 2_000;

/** What comparing two releases takes. */
type ImpactParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

/** Options of `listZoneDataImpacts`. */
export interface ImpactOptions {
  /** When it aborts, because nobody waits for the answer any more, the comparison stops. */
  readonly signal?: AbortSignal | undefined;
  /** A monotonic clock in milliseconds. */
  readonly elapsedMs?: () => number;
}

/**
 * Lists how the next release of the zone database will change the fire times of a project's jobs, a page at a time.
 *
 * It looks at the jobs in the zones that the next release changes. For each, it compares the fire times under the next
 * release with those under the release in effect, over the two years after the next release takes effect. Jobs without
 * a difference are left out. It compares in slices, between which everything else can run, and ends a page after about
 * two seconds. So a page may be shorter than asked for, or empty. Throws PAGE_TOKEN_INVALID.
 */
export async function listZoneDataImpacts(
  parts: ImpactParts,
  projectId: string,
  request: ListZoneDataImpactsRequest,
  { signal, elapsedMs = () => performance.now() }: ImpactOptions = {},
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
  const endMs = elapsedMs() + BUDGET_MS;
  const isOver = () => signal?.aborted === true || elapsedMs() >= endMs;
  let compared = 0;
  let place: string | null = after;
  do {
    const chunk: Chunk = await nextChunk(parts, projectId, { zones, after: place, most: size - compared });
    place = chunk.until;
    for (const row of await readJobs(parts, projectId, chunk)) {
      const impact = await compareJob(parts, row, coming, signal);
      compared += 1;
      if (impact !== null) response.impacts.push(impact);
      if (!isOver()) continue;
      if (row.uid !== chunk.jobs.at(-1)?.uid) place = row.name;
      break;
    }
  } while (place !== null && compared < size && !isOver());
  if (place !== null) response.nextPageToken = toPageToken(LIST, place);
  return response;
}

/** Jobs to be compared, in the order of their names. */
interface Chunk {
  readonly jobs: readonly ZoneJobRow[];
  /** The name of the last job that was looked at, whether it is to be compared or not; null after the last one. */
  readonly until: string | null;
}

/** Looks at the next 500 jobs after a name, and returns those in the zones: at most `most`, and at most 20. */
async function nextChunk(
  { database }: Pick<Parts, "database">,
  projectId: string,
  {
    zones,
    after,
    most,
  }: { readonly zones: readonly string[]; readonly after: string; readonly most: number },
): Promise<Chunk> {
  const looked = await database.query(jobsOfProjectInZones, [projectId, zones, after, LOOK]);
  const affected = looked.filter((job) => job.affected);
  const jobs = affected.slice(0, Math.min(most, READ));
  if (jobs.length < affected.length) return { jobs, until: jobs.at(-1)?.name ?? after };
  return { jobs, until: looked.length < LOOK ? null : (looked.at(-1)?.name ?? null) };
}

/** Reads the jobs of a chunk. A job that was deleted a moment ago is left out. */
async function readJobs(
  { database }: Pick<Parts, "database">,
  projectId: string,
  { jobs }: Chunk,
): Promise<JobRow[]> {
  if (jobs.length === 0) return [];
  const rows = await database.query(jobsOfProject, [projectId, jobs.map(({ uid }) => uid)]);
  const byUid = new Map(rows.map((row) => [row.uid, row]));
  return jobs.flatMap(({ uid }) => byUid.get(uid) ?? []);
}

/** Compares the fire times of a job, in slices. Returns null if the next release changes none of them. */
async function compareJob(
  parts: Omit<ImpactParts, "clock">,
  row: JobRow,
  coming: ComingRelease,
  signal: AbortSignal | undefined,
): Promise<ZoneDataImpact | null> {
  const next = parts.zoneData.release(coming.version);
  const schedule = parts.schedules.of(row);
  const gates = await gatesOf(parts.database, parts.zoneData, row.project_id, schedule.calendars);
  const comparison = compareRevisions(
    { schedule, gates },
    {
      schedule: compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData: next }),
      gates: gates.map((gate) => withRelease(gate, next)),
    },
    coming.effectiveMs,
    TWO_YEARS_MS,
  );
  const difference = await runInSlices(comparison, { signal, budgetMs: Number.POSITIVE_INFINITY });
  if (difference.added.length + difference.removed.length === 0) return null;
  return create(ZoneDataImpactSchema, {
    job: row.name,
    jobUid: row.uid,
    difference: toFireTimeDifference(difference, coming.effectiveMs),
  });
}

/** Returns the calendar with its zone as the release has it. */
function withRelease(gate: CalendarGate, release: ZoneRelease): CalendarGate {
  return { ...gate, calendar: { ...gate.calendar, zone: release.zones(gate.calendar.zone.name) } };
}
