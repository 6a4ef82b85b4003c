import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type {
  DiscardTriggersRequest,
  DiscardTriggersResponseSchema,
} from "../../gen/easycron/v1/trigger_service_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { type Carry, readCarry } from "../job/carry.ts";
import type { JobRow } from "../job/job.ts";
import { jobsOwing, jobsWakeWaiting, triggersDiscard } from "../job/jobs.sql.ts";
import { addSkips } from "../job/skips.sql.ts";
import type { Parts } from "../parts.ts";
import { catchupRelease } from "../turns/catchup.sql.ts";
import { type ChangeParts, prepareJob, unchanged, writeChange } from "./change-job.ts";
import { lockIfLiving, lockJob } from "./lock-job.ts";

/** The most triggers that one call discards. */
export const DISCARD_LIMIT = 10_000;
/** The most jobs for which one call first decides the fire times that are due. */
const MAX_DUE_JOBS = 1_000;
const FIRST_TIME = "-infinity";

/**
 * Cancels unfinished triggers of a project, or of one of its jobs. First decides the fire times that are due, such as
 * the backlog of an outage, so that they become triggers and are discarded too. Throws JOB_NOT_FOUND, and FIELD_INVALID
 * when neither job nor kind is given.
 */
export async function discardTriggers(
  parts: ChangeParts & Pick<Parts, "database">,
  projectId: string,
  request: DiscardTriggersRequest,
): Promise<MessageInitShape<typeof DiscardTriggersResponseSchema>> {
  if (request.job === "" && request.kind === TriggerKind.UNSPECIFIED) {
    throw fieldFailure("FIELD_INVALID", "job", "Neither job nor kind is set; set at least one of them.");
  }
  return request.job === ""
    ? discardOfProject(parts, projectId, request)
    : parts.database.transaction(async (tx) => {
        const row = await lockJob(tx, { projectId, name: request.job });
        const skipped = await decideUpToNow(parts, tx, row, request);
        const { discardedCount, more } = await discard(parts, tx, { projectId, jobUid: row.uid, request });
        return { discardedCount: discardedCount + skipped, more };
      });
}

async function discardOfProject(
  parts: ChangeParts & Pick<Parts, "database">,
  projectId: string,
  request: DiscardTriggersRequest,
): Promise<MessageInitShape<typeof DiscardTriggersResponseSchema>> {
  const now = toSqlTime(parts.clock.now());
  const due = await parts.database.query(jobsOwing, [projectId, now, MAX_DUE_JOBS]);
  let skipped = 0;
  for (const { name } of due) {
    await parts.database.transaction(async (tx) => {
      const row = await lockIfLiving(tx, { project_id: projectId, name });
      if (row !== undefined) skipped += await decideUpToNow(parts, tx, row, request);
    });
  }
  const { discardedCount, more } = await discard(parts, parts.database, { projectId, jobUid: null, request });
  return { discardedCount: discardedCount + skipped, more: more || due.length === MAX_DUE_JOBS };
}

// Writes a change that leaves the job as it is: preparing it turns all fire times that are due into triggers and skips.
// Waiting fire times that the request covers are skipped. Returns the number of those.
async function decideUpToNow(
  parts: ChangeParts,
  tx: Queryable,
  row: JobRow,
  request: DiscardTriggersRequest,
): Promise<number> {
  const { waiting } = readCarry(row.carry);
  const isDue = row.next_fire_time !== null && row.next_fire_time <= parts.clock.now();
  if (row.state !== "ACTIVE" || (!isDue && waiting.length === 0)) return 0;
  const prepared = await prepareJob(tx, parts, row);
  const { carry } = prepared.position;
  const dropped = carry.waiting.filter((atMs) => isDiscarded(parts, request, carry, atMs));
  await addSkips(
    tx,
    dropped.map((atMs) => {
      const range = {
        firstMs: atMs,
        lastMs: atMs,
        reason: "SKIPPED_BY_REQUEST",
        count: 1,
        detail: "",
      } as const;
      return { jobUid: row.uid, range };
    }),
  );
  const rest = carry.waiting.filter((atMs) => !dropped.includes(atMs));
  const left = { ...carry, waiting: rest, skipped: carry.skipped + dropped.length };
  const job = { ...prepared, position: { ...prepared.position, carry: left } };
  await writeChange(tx, parts, job, unchanged(parts, job));
  return dropped.length;
}

function isDiscarded(
  parts: Pick<Parts, "clock">,
  { kind, startTime, endTime }: DiscardTriggersRequest,
  carry: Carry,
  atMs: number,
): boolean {
  const isKind =
    kind === TriggerKind.UNSPECIFIED ||
    kind === (carry.late.includes(atMs) ? TriggerKind.CATCHUP : TriggerKind.SCHEDULED);
  const fromMs = startTime === undefined ? Number.NEGATIVE_INFINITY : timestampMs(startTime);
  const beforeMs = endTime === undefined ? parts.clock.now() : timestampMs(endTime);
  return isKind && atMs >= fromMs && atMs < beforeMs;
}

interface Discard {
  readonly projectId: string;
  readonly jobUid: string | null;
  readonly request: DiscardTriggersRequest;
}

async function discard(
  parts: Pick<Parts, "clock">,
  on: Queryable,
  { projectId, jobUid, request }: Discard,
): Promise<{ discardedCount: number; more: boolean }> {
  const { kind, startTime, endTime } = request;
  const nowMs = parts.clock.now();
  const [row] = await on.query(triggersDiscard, [
    projectId,
    jobUid,
    kind === TriggerKind.UNSPECIFIED ? null : kindName(kind),
    startTime === undefined ? FIRST_TIME : toSqlTime(timestampMs(startTime)),
    toSqlTime(endTime === undefined ? nowMs : timestampMs(endTime)),
    toSqlTime(nowMs),
    DISCARD_LIMIT,
  ]);
  const discardedCount = row?.count ?? 0;
  // Later catch-up triggers need not wait for the throttle slots of the discarded ones.
  if (discardedCount > 0) {
    await on.query(catchupRelease, [projectId, toSqlTime(nowMs)]);
    await on.query(jobsWakeWaiting, [projectId, jobUid, toSqlTime(nowMs)]);
  }
  return { discardedCount, more: discardedCount === DISCARD_LIMIT };
}

function kindName(kind: TriggerKind): string {
  const found = Object.entries(TriggerKind).find(([, value]) => value === kind);
  return found?.[0] ?? "";
}
