import { isItemFault } from "../../db/item-fault.ts";
import type { Database, Queryable } from "../../db/pool.ts";
import { failure } from "../../mesh/errors.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { checkTurnRow, type TurnRow } from "../job/job.ts";
import type { ListedJob } from "../job/jobs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import { missedOf, type SkipRange } from "../job/verdict.ts";
import { putBack, type SetAside, setAside, type Trouble } from "../set-aside/set-aside.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { trySpreadCatchup } from "./catchup.ts";
import { type Claim, claimAgain, claimJobs, listJobs } from "./claim.ts";
import { type DecidedTurn, decideTurns } from "./decide-turns.ts";
import type { HandOver, RefusedEvent } from "./hand-over.ts";
import type { PassSize } from "./pass-size.ts";
import { resumeDue } from "./resume-due.ts";
import type { Turn } from "./turn.ts";
import { writeTurns } from "./write-turns.ts";

/** What a pass uses. There is no clock in it: a pass is given the time, so that all of it decides for one instant. */
export interface PassParts {
  readonly database: Database;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly zoneData: Pick<ZoneData, "label" | "release">;
  /** How long before its effective time a trigger is handed over to a dispatcher at the latest. */
  readonly lookAheadMs: number;
  /** How much further a turn may look (`horizonOf`). */
  readonly stepMs: number;
  /** The catch-up rate of one project: how many of its late triggers become due in a second. */
  readonly catchupPerSecond: number;
  /** Called with a job that is set aside, because its fire times cannot be decided or recorded, each time it fails. */
  readonly onTrouble: (jobUid: string, error: unknown, aside: SetAside) => void;
  /** Called with fire times of a job that an outage made us miss. */
  readonly onMissed: (jobUid: string, range: SkipRange) => void;
  /** Called with each turn that is written. */
  readonly onDecided?: (turn: Turn) => void;
}

/** What passes remember. */
export interface PassState {
  readonly parts: PassParts;
  /**
   * By job: when to look at it, for jobs whose fire times are decided exactly on time. Epoch milliseconds. An entry may
   * be out of date, because another scheduler took the job. This costs one needless look.
   */
  readonly exactWakes: Map<string, number>;
  /**
   * Projects for which another transaction was reserving catch-up time, with the time until which their late jobs are
   * left out of passes. Epoch milliseconds.
   */
  readonly busyProjects: Map<string, number>;
  /** How many events a pass may hand over now. */
  readonly size: PassSize;
}

/** What a pass did. */
export interface PassResult {
  readonly events: number;
  readonly more: boolean;
}

/** How long the late jobs of a project are left out after one pass found its catch-up time locked. */
export const BUSY_MS = 1_000;
/**
 * Most jobs that a pass, when it is taken apart, finds to fail alone. The next tick goes on with the rest, so that the
 * jobs of other projects do not wait until hundreds of jobs have failed one by one.
 */
const FAILURES_LIMIT = 25;

/**
 * Runs one pass at the instant `nowMs`, in epoch milliseconds: a transaction that claims jobs, decides their fire times,
 * hands the events over and advances the cursors.
 *
 * A job that cannot be read, decided or recorded is set aside, and the others go on. Most such jobs are found one by one
 * within the transaction. If the transaction itself fails, and not for a reason that would hit every job, it is run again
 * for halves of the claimed jobs, until the jobs that fail alone are found.
 *
 * `onClaimed` is called with the claimed jobs, and with how many milliseconds the claim took.
 */
export async function runPass(
  state: PassState,
  nowMs: number,
  claim: Claim,
  onClaimed?: (jobs: readonly ListedJob[], tookMs: number) => void,
): Promise<PassResult> {
  let claimed: readonly ListedJob[] = [];
  try {
    return await runOnce(state, nowMs, claim, async (tx) => {
      const beganMs = performance.now();
      const rows = await claimJobs(tx, claim);
      onClaimed?.(rows, performance.now() - beganMs);
      claimed = rows;
      return rows;
    });
  } catch (error) {
    if (!isItemFault(error)) throw error;
    // The claim itself may have failed, because of a row that cannot be read.
    if (claimed.length === 0) claimed = await listJobs(state.parts.database, claim);
    if (claimed.length === 0) throw error;
  }
  let failures = 0;
  const again = async (rows: readonly ListedJob[]): Promise<PassResult> => {
    if (failures >= FAILURES_LIMIT) return { events: 0, more: true };
    try {
      return await runOnce(state, nowMs, claim, (tx) => claimAgain(tx, claim, rows));
    } catch (error) {
      if (rows.length === 1) failures += 1;
      throw error;
    }
  };
  const { results, failed } = await takeApart(claimed, again, { isItemFault });
  const troubles = failed.map(({ item, error }) => toTrouble(item, CANNOT_RECORD, error));
  await report(state, nowMs, troubles);
  return {
    events: results.reduce((sum, { events }) => sum + events, 0),
    more: claimed.length === claim.maxJobs || results.some(({ more }) => more),
  };
}

/** What one transaction did. */
interface Done {
  readonly resumed: number;
  readonly more: boolean;
  /** The turns that are written. */
  readonly written: readonly DecidedTurn[];
  readonly troubles: readonly Trouble[];
  /** Projects of which the catch-up triggers were left out. */
  readonly busyProjects: ReadonlySet<string>;
}

async function runOnce(
  state: PassState,
  nowMs: number,
  claim: Claim,
  claimRows: (tx: Queryable) => Promise<readonly TurnRow[]>,
): Promise<PassResult> {
  const { parts, exactWakes } = state;
  const done = await parts.database.transaction(async (tx) =>
    takeTurns(state, nowMs, claim, tx, await claimRows(tx)),
  );
  for (const { row, turn, isExact } of done.written) {
    if (isExact && turn.wakeMs !== null) exactWakes.set(row.uid, turn.wakeMs);
    parts.onDecided?.(turn);
    for (const range of missedOf(turn.skips)) parts.onMissed(row.uid, range);
  }
  for (const projectId of done.busyProjects) state.busyProjects.set(projectId, nowMs + BUSY_MS);
  await report(state, nowMs, done.troubles);
  return { events: done.written.reduce((sum, { turn }) => sum + turn.events.length, 0), more: done.more };
}

async function takeTurns(
  state: PassState,
  nowMs: number,
  claim: Claim,
  tx: Queryable,
  claimed: readonly TurnRow[],
): Promise<Done> {
  const { parts, size } = state;
  const troubles: Trouble[] = [];
  const rows = claimed.filter((row) => isReadable(row, troubles));
  const onTrouble = (row: TurnRow, error: unknown) =>
    troubles.push(toTrouble(row, "The end of the job's pause cannot be computed.", error));
  const paused = rows.filter(({ state }) => state === "PAUSED");
  const resumed = await resumeDue(tx, { schedules: parts.schedules, onTrouble }, paused);
  const active = rows.filter(({ state }) => state === "ACTIVE");
  const {
    decided,
    undecided,
    troubles: failed,
  } = await decideTurns(parts, nowMs, tx, active, size.maxEvents);
  troubles.push(...failed);
  const { written, busyProjects } = await handOverTurns(state, nowMs, tx, decided, troubles);
  if (claim.kind === "SET_ASIDE") {
    const failing = new Set(troubles.map(({ id }) => id));
    const good = [...paused, ...written.map(({ row }) => row)].filter(({ uid }) => !failing.has(uid));
    await putBack(
      tx,
      "job",
      good.map(({ uid }) => uid),
    );
  }
  const more =
    resumed > 0 || claimed.length === claim.maxJobs || undecided > 0 || written.some(({ turn }) => turn.more);
  return { resumed, more, written, troubles, busyProjects };
}

function isReadable(row: TurnRow, troubles: Trouble[]): boolean {
  try {
    checkTurnRow(row);
    return true;
  } catch (error) {
    troubles.push(
      toTrouble(row, "What EasyCron has stored about the job's fire times cannot be read.", error),
    );
    return false;
  }
}

const CANNOT_RECORD = "The job's fire times cannot be decided or recorded.";

/** Hands over the events of the turns, then writes what the turns decided. Returns the turns that are written. */
async function handOverTurns(
  { parts, size }: PassState,
  nowMs: number,
  tx: Queryable,
  decided: readonly DecidedTurn[],
  troubles: Trouble[],
): Promise<Pick<Done, "written" | "busyProjects">> {
  const all = decided.flatMap(({ turn }) => turn.events);
  const { events, busyProjects } = await trySpreadCatchup(tx, all, nowMs, parts.catchupPerSecond);
  const { complete, sent } =
    busyProjects.size === 0 ? { complete: decided, sent: events } : keepWhole(decided, events);
  const refused = await size.measure(sent.length, () => send(parts, sent));
  const written = refused.length === 0 ? complete : withoutRefused(complete, refused, troubles);
  if (written.length > 0) await writeTurns(tx, written);
  return { written, busyProjects };
}

/** Leaves turns out of which an event is left out: a turn is handed over as a whole or not at all. */
function keepWhole(decided: readonly DecidedTurn[], events: readonly TriggerEventInit[]) {
  const kept = new Set(events.map(({ triggerId }) => triggerId));
  const complete = decided.filter(({ turn }) => turn.events.every(({ triggerId }) => kept.has(triggerId)));
  const uids = new Set(complete.map(({ row }) => row.uid));
  return { complete, sent: events.filter(({ jobUid }) => uids.has(jobUid)) };
}

/** Leaves turns out of which an event was refused. One whose event cannot be recorded is a trouble. */
function withoutRefused(
  turns: readonly DecidedTurn[],
  refused: readonly RefusedEvent[],
  troubles: Trouble[],
): DecidedTurn[] {
  const refusals = new Map(refused.map((refusal) => [refusal.triggerId, refusal]));
  return turns.filter(({ row, turn }) => {
    const found = turn.events.flatMap(({ triggerId }) => refusals.get(triggerId) ?? []);
    const lasting = found.find(({ isTransient }) => !isTransient);
    if (lasting !== undefined) {
      const error = new Error(`${lasting.triggerId}: ${lasting.problem}`);
      troubles.push(toTrouble(row, "A trigger of the job cannot be recorded.", error));
    }
    // What is left out or only postponed is decided and handed over again by a later tick.
    return found.length === 0;
  });
}

// What a dispatcher cannot record is returned. So a hand-over that fails is never the fault of one job.
async function send(
  { handOver }: Pick<PassParts, "handOver">,
  events: readonly TriggerEventInit[],
): Promise<readonly RefusedEvent[]> {
  if (events.length === 0) return [];
  try {
    return await handOver.send(events);
  } catch (error) {
    if (!isItemFault(error)) throw error;
    throw failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { cause: error });
  }
}

function toTrouble(row: ListedJob, problem: string, error: unknown): Trouble {
  return { id: row.uid, projectId: row.project_id, problem, error };
}

/** Sets jobs aside, after the transaction that has left them out. */
async function report({ parts }: PassState, nowMs: number, troubles: readonly Trouble[]): Promise<void> {
  for (const aside of await setAside(parts.database, "job", troubles, nowMs)) {
    parts.onTrouble(aside.id, aside.error, aside);
  }
}
