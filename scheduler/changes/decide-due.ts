import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { epochEnd } from "../job/epochs.sql.ts";
import type { JobRow } from "../job/job.ts";
import { addSkips } from "../job/skips.sql.ts";
import { missedOf } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import { spreadCatchup } from "../turns/catchup.ts";
import { readDispatched } from "../turns/dispatched.ts";
import { sendAllOrThrow } from "../turns/hand-over.ts";
import { takeTurn } from "../turns/turn.ts";
import type { Position } from "../turns/turn-draft.ts";

/** What deciding a backlog uses. */
type DecideParts = Pick<Parts, "handOver" | "schedules" | "zoneData" | "catchupPerSecond" | "onMissed">;

/**
 * The most turns that decide the backlog of one job. A longer backlog makes the change fail with SERVICE_UNAVAILABLE.
 */
const MAX_TURNS = 10;
/** The most triggers that one turn hands over. */
const MAX_EVENTS_PER_TURN = 1_000;

/**
 * Decides all fire times of a locked job up to `nowMs`, in as many turns as that takes, and hands over their triggers
 * with the given epoch. Returns the job's new position, which is not written yet. Throws SERVICE_UNAVAILABLE when the
 * backlog is too long for 10 turns of 1,000 triggers.
 */
export async function decideDue(
  tx: Queryable,
  parts: DecideParts,
  row: JobRow,
  { nowMs, epoch }: { readonly nowMs: number; readonly epoch: number },
): Promise<Position> {
  const schedule = parts.schedules.of(row);
  const gates = await gatesOf(tx, parts.zoneData, row.project_id, schedule.calendars);
  const [known = { busy: false, handed: [] }] = await readDispatched(tx, [row], [schedule], nowMs);
  const zoneData = parts.zoneData.label(schedule, nowMs);
  let at: JobRow = row;
  for (let left = MAX_TURNS; left > 0; left--) {
    const limit = MAX_EVENTS_PER_TURN;
    const turn = takeTurn({ row: at, schedule, gates, ...known, nowMs, limit, lookAheadMs: 0, zoneData });
    await addSkips(
      tx,
      turn.skips.map((range) => ({ jobUid: row.uid, range })),
    );
    for (const range of missedOf(turn.skips)) parts.onMissed(row.uid, range);
    if (turn.events.length > 0) {
      const events = turn.events.map((event) => ({ ...event, epoch }));
      await sendAllOrThrow(parts.handOver, await spreadCatchup(tx, events, nowMs, parts.catchupPerSecond));
    }
    if (turn.endMs !== null) await tx.query(epochEnd, [[row.uid], [row.epoch], [toSqlTime(turn.endMs)]]);
    const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = turn.position;
    if (!turn.more) {
      // The waiting fire times use up `maxFires`, so this epoch has no fire time from the cursor on.
      const spent = nextFireTimeMs !== null && nextFireTimeMs <= nowMs;
      if (spent) await tx.query(epochEnd, [[row.uid], [row.epoch], [toSqlTime(nextFireTimeMs - 1)]]);
      return turn.position;
    }
    at = {
      ...at,
      next_fire_time: nextFireTimeMs,
      last_fire_time: lastFireTimeMs,
      last_seq: lastSeq,
      carry,
    };
  }
  throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
}
