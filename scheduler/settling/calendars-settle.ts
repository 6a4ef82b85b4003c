import { toSqlTime } from "../../db/time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop, type Wanted } from "../../mesh/loop.ts";
import { pause } from "../../mesh/pause.ts";
import { calendarsToSettle } from "../calendars/calendars.sql.ts";
import { beginPass, type CalendarPass, stepPass } from "./calendar-pass.ts";
import type { FailedJob, SettleParts } from "./job-set.ts";

/** Time between two rounds of settling. */
export const SETTLING_EVERY_MS = 1_000;
/** Most calendars of one round. */
const ROUND = 100;
/** How many calendars may fail in one round. */
const MAX_FAILURES = 3;
/** The pause before a step that another process is making is tried again. */
const TAKEN_PAUSE_MS = 20;

/**
 * Settles the jobs that refer to a calendar that has changed, for at most about `limitMs`. Leaves the others to the
 * background (`startSettling`), and also those that are locked or cannot be settled now. Returns whether all are
 * settled. Throws SERVICE_UNAVAILABLE; the background then goes on.
 */
export async function settleCalendar(
  parts: SettleParts,
  calendarUid: string,
  limitMs: number,
): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  const pass = beginPass(calendarUid);
  try {
    while (performance.now() < endMs) {
      const result = await stepPass(parts, pass);
      if (result === "DONE" || result === "POSTPONED") return result === "DONE";
      if (result === "TAKEN") await pause(TAKEN_PAUSE_MS);
    }
    return false;
  } finally {
    if (pass.settled > 0) parts.wake();
  }
}

/** Settles calendars in the background. */
export interface CalendarSettler {
  /**
   * Makes one step for each calendar that has jobs to settle. `more`: there is more to do at once. If steps fail, goes
   * on with the other calendars, and then throws the first error.
   */
  round(): Promise<Wanted>;
}

interface SettlerState {
  readonly parts: SettleParts;
  readonly onFailed: (calendarUid: string, failed: readonly FailedJob[]) => void;
  /** The passes under way, by calendar. */
  readonly passes: Map<string, CalendarPass>;
  /** The calendar of the last step. The next round begins after it, so that none is always the last. */
  last: string;
}

/** Makes a settler. `onFailed` is called at the end of a pass with the jobs that could not be settled. */
export function createCalendarSettler(
  parts: SettleParts,
  onFailed: (calendarUid: string, failed: readonly FailedJob[]) => void,
): CalendarSettler {
  const state: SettlerState = { parts, onFailed, passes: new Map(), last: "" };
  return { round: () => round(state) };
}

async function round(state: SettlerState): Promise<Wanted> {
  const { parts, passes } = state;
  const { database, clock } = parts;
  const rows = await database.query(calendarsToSettle, [toSqlTime(clock.now()), state.last, ROUND]);
  const wanted = new Set(rows.map(({ uid }) => uid));
  for (const uid of passes.keys()) if (!wanted.has(uid)) passes.delete(uid);
  let more = false;
  const errors: unknown[] = [];
  for (const uid of wanted) {
    state.last = uid;
    try {
      more = (await step(state, uid)) || more;
    } catch (error) {
      passes.delete(uid);
      errors.push(error);
      if (errors.length === MAX_FAILURES) break;
    }
  }
  if (errors.length > 0) throw errors[0];
  return { more };
}

/** Makes the next step of a calendar's pass. Returns whether the pass goes on. */
async function step({ parts, passes, onFailed }: SettlerState, uid: string): Promise<boolean> {
  const pass = passes.get(uid) ?? beginPass(uid);
  passes.set(uid, pass);
  const before = pass.settled;
  const result = await stepPass(parts, pass);
  if (pass.settled > before) parts.wake();
  if (result === "MORE") return true;
  if (result === "TAKEN") return false;
  passes.delete(uid);
  if (pass.failed.length > 0) onFailed(uid, pass.failed);
  return false;
}

/** Settles calendars until stopped: looks every second, and goes from step to step while there is work. */
export function startSettling(parts: SettleParts, logger: Logger): Loop {
  const settler = createCalendarSettler(parts, (calendarUid, failed) => {
    const jobUids = failed.slice(0, 5).map(({ jobUid }) => jobUid);
    const facts = { calendarUid, jobs: failed.length, jobUids, err: failed[0]?.error };
    logger.error(facts, "jobs of a changed calendar cannot be brought up to date; trying again in a minute");
  });
  return startLoop(() => settler.round(), {
    everyMs: SETTLING_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "cannot settle the jobs of a changed calendar; trying again"),
    onRecovery: (failures) =>
      logger.info({ failures }, "the jobs of changed calendars are being settled again"),
  });
}
