import { type Database, isLockTimeout, isStatementTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Wanted } from "../../mesh/loop.ts";
import { pause } from "../../mesh/pause.ts";
import type { Events } from "../events/events.ts";
import {
  partitionDrop,
  partitionDropLimit,
  partitionListOld,
  type RemovableRow,
  retentionAdvance,
  retentionProjects,
  retentionRemovable,
  retentionRemove,
} from "./retention.sql.ts";

/** Time between two rounds when nothing is left over. */
export const RETENTION_EVERY_MS = 1_800_000;
/**
 * How long a floor is in effect before anything earlier is removed. A statement that does not see the new floor has begun
 * before it, and PostgreSQL ends each after 10 s at the latest.
 */
const GRACE_MS = 60_000;
/** How many projects one statement reads. */
const PROJECTS = 100;
/** How many triggers one statement looks at. */
const PAGE = 1_000;
/** How long a round may take. The next one goes on where it ended. */
const ROUND_MS = 10_000;
/** After each statement the loop rests for this many times as long as the statement took. */
const REST = 3;
const DROP_LIMIT_MS = 5_000;
const MONTH_MS = 31 * 86_400_000;
const SOON_MS = 5_000;
const MIN_RETRY_MS = 10_000;
const MAX_RETRY_MS = 600_000;
const NO_TIME = "-infinity";

/** What removing old triggers needs. */
export interface RetentionParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  /** Tells whether the round may go on: no longer when the process is to stop. */
  readonly mayGoOn: () => boolean;
  /** What tests replace. */
  readonly graceMs?: number;
}

/** Where in a project's triggers a round goes on: after this fire time and id. */
interface Position {
  readonly projectId: string;
  readonly time: string;
  readonly id: string;
}

function beginningOf(projectId: string): Position {
  return { projectId, time: NO_TIME, id: "" };
}

interface RetentionState {
  readonly parts: RetentionParts;
  readonly graceMs: number;
  /** The last project whose floor was looked at, and the last one of which triggers were removed. */
  floorsAfter: string;
  removedAfter: string;
  position: Position;
  /** Tries in a row in which a partition could not be dropped. */
  failures: number;
  retryDropMs: number;
}

/**
 * Returns a function that removes what is older than the days of its project, a round at a time: it moves the floors, drops
 * months in which nothing is kept, and deletes the other expired triggers in pages, with a pause after each. A round ends
 * after ten seconds, and the next one goes on there. Several dispatchers may do so at once: each leaves out the rows that
 * another one has locked. The function returns when to call it again. It throws SERVICE_UNAVAILABLE.
 */
export function createRetention(parts: RetentionParts): () => Promise<Wanted> {
  const { graceMs = GRACE_MS } = parts;
  const state: RetentionState = {
    parts,
    graceMs,
    floorsAfter: "",
    removedAfter: "",
    position: beginningOf(""),
    failures: 0,
    retryDropMs: Number.NEGATIVE_INFINITY,
  };
  return () => runRound(state);
}

async function runRound(state: RetentionState): Promise<Wanted> {
  const untilMs = performance.now() + ROUND_MS;
  const isOver = () => performance.now() >= untilMs || !state.parts.mayGoOn();
  const moved = await moveFloors(state, isOver);
  await dropMonths(state, isOver);
  const isDone = await removeExpired(state, isOver);
  if (!isDone) return { more: false, againMs: SOON_MS };
  if (state.failures > 0) return { more: false, againMs: retryMs(state.failures) };
  return moved ? { more: false, againMs: state.graceMs + SOON_MS } : { more: false };
}

/** Moves the floors of all projects that have triggers. Returns whether any moved. */
async function moveFloors(state: RetentionState, isOver: () => boolean): Promise<boolean> {
  const { database, clock } = state.parts;
  let moved = false;
  do {
    const listed = await rest(() => database.query(retentionProjects, [state.floorsAfter, PROJECTS]), isOver);
    const ids = listed.map(({ project_id: id }) => id);
    const values = [ids, toSqlTime(clock.now()), state.graceMs];
    const rows = ids.length === 0 ? [] : await rest(() => database.query(retentionAdvance, values), isOver);
    moved ||= rows.length > 0;
    state.floorsAfter = ids.length < PROJECTS ? "" : (ids.at(-1) ?? "");
  } while (state.floorsAfter !== "" && !isOver());
  return moved;
}

/** Drops the months in which nothing is kept. One that a long reader holds is tried again later, with growing pauses. */
async function dropMonths(state: RetentionState, isOver: () => boolean): Promise<void> {
  const { database, clock, events } = state.parts;
  const nowMs = clock.now();
  if (nowMs < state.retryDropMs) return;
  // The month of this time is the earliest one that is made again (dispatcher/housekeeping.ts).
  const months = await database.query(partitionListOld, [toSqlTime(nowMs - MONTH_MS)]);
  for (const { month_start: startMs, name } of months) {
    if (isOver()) return;
    const values = [toSqlTime(startMs), toSqlTime(nowMs), state.graceMs];
    try {
      const [row] = await database.transaction(async (tx) => {
        await tx.query(partitionDropLimit, [String(DROP_LIMIT_MS)]);
        return tx.query(partitionDrop, values);
      });
      if (row?.outcome === "DROPPED") events.emit("partitionDropped", { partition: name });
    } catch (error) {
      if (!isLockTimeout(error) && !isStatementTimeout(error)) throw error;
      // The others would wait for the same reader, and everybody would wait with them.
      state.failures += 1;
      state.retryDropMs = nowMs + retryMs(state.failures);
      events.emit("partitionKept", { partition: name, tries: state.failures, error });
      return;
    }
  }
  state.failures = 0;
}

function retryMs(failures: number): number {
  return Math.min(MIN_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS);
}

/** Deletes expired triggers project by project. Returns whether it got through all of them. */
async function removeExpired(state: RetentionState, isOver: () => boolean): Promise<boolean> {
  const { database } = state.parts;
  for (;;) {
    const values = [state.removedAfter, PROJECTS, state.graceMs];
    const projects = await database.query(retentionRemovable, values);
    for (const project of projects) {
      if (!(await removeOf(state, project, isOver))) return false;
      state.removedAfter = project.project_id;
    }
    if (projects.length < PROJECTS) break;
  }
  state.removedAfter = "";
  return true;
}

/** Deletes the expired triggers of a project. Returns whether it got to the end. */
async function removeOf(
  state: RetentionState,
  { project_id: projectId, days, floor_time: floorMs }: RemovableRow,
  isOver: () => boolean,
): Promise<boolean> {
  const { database, clock, events } = state.parts;
  let removed = 0;
  let isEnd = false;
  if (state.position.projectId !== projectId) state.position = beginningOf(projectId);
  while (!isEnd && !isOver()) {
    const { time, id } = state.position;
    const values = [projectId, toSqlTime(floorMs), time, id, PAGE, days, toSqlTime(clock.now())];
    const [row] = await rest(() => database.query(retentionRemove, values), isOver);
    removed += row?.removed ?? 0;
    isEnd = (row?.seen ?? 0) < PAGE;
    if (row?.last_time != null && row.last_id !== null) {
      state.position = { projectId, time: toSqlTime(row.last_time), id: row.last_id };
    }
  }
  if (isEnd) state.position = beginningOf("");
  if (removed > 0) events.emit("triggersRemoved", { projectId, removed, floorMs });
  return isEnd;
}

/** Does something in the database, and then rests, so that others have most of its time. */
async function rest<T>(work: () => Promise<T>, isOver: () => boolean): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  if (!isOver()) await pause(REST * (performance.now() - startMs));
  return result;
}
