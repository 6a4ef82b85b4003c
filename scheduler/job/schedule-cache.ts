import type { Queryable } from "../../db/pool.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { fromSpecJsonTiming, type JobRow } from "./job.ts";
import { revisionsByJob } from "./revisions.sql.ts";

/** Caches compiled schedules by job and revision. A revision never changes, so an entry never becomes stale. */
export interface ScheduleCache {
  /** Returns the schedule of a row. Throws what `compileSchedule` throws. */
  of(row: JobRow): CompiledSchedule;
  /** Like `of`, but returns the error of a schedule that cannot be compiled. */
  find(row: JobRow): CompiledSchedule | Error;
  /**
   * Returns the schedules of rows without specification, in their order. Those not in the cache are read by one
   * statement. Throws if one of them cannot be compiled.
   */
  load(on: Queryable, rows: readonly Pick<JobRow, "uid" | "revision">[]): Promise<CompiledSchedule[]>;
  /** Like `load`, but returns the error of a schedule that cannot be compiled, so that the others are still usable. */
  loadEach(
    on: Queryable,
    rows: readonly Pick<JobRow, "uid" | "revision">[],
  ): Promise<(CompiledSchedule | Error)[]>;
}

/** A compiled schedule of one revision of a job. */
interface Entry {
  readonly revision: number;
  readonly compiled: CompiledSchedule;
}

/**
 * Makes a cache of at most `maxEntries` schedules, one for each job. Those that were not used for longest are dropped,
 * half of the cache at a time: keeping the exact order would cost more than the rest of a look-up.
 */
export function createScheduleCache(maxEntries: number, zoneData: Pick<ZoneData, "release">): ScheduleCache {
  const half = Math.max(1, Math.floor(maxEntries / 2));
  let recent = new Map<string, Entry>();
  let older = new Map<string, Entry>();

  const keep = (uid: string, entry: Entry): CompiledSchedule => {
    if (recent.size >= half && !recent.has(uid)) {
      older = recent;
      recent = new Map();
    }
    recent.set(uid, entry);
    return entry.compiled;
  };

  const get = (uid: string, revision: number): CompiledSchedule | undefined => {
    const known = recent.get(uid);
    if (known?.revision === revision) return known.compiled;
    const old = older.get(uid);
    return old?.revision === revision ? keep(uid, old) : undefined;
  };

  const of = (uid: string, revision: number, spec: string, version: string): CompiledSchedule => {
    const known = get(uid, revision);
    if (known !== undefined) return known;
    const compiled = compileSchedule(fromSpecJsonTiming(spec), uid, { zoneData: zoneData.release(version) });
    return keep(uid, { revision, compiled });
  };

  const loadEach: ScheduleCache["loadEach"] = async (on, rows) => {
    const found: (CompiledSchedule | Error | undefined)[] = rows.map(({ uid, revision }) =>
      get(uid, revision),
    );
    const missing = rows.filter((_, index) => found[index] === undefined);
    if (missing.length === 0) return found.map(orMissing(rows));
    const values = [missing.map(({ uid }) => uid), missing.map(({ revision }) => revision)];
    const read = new Map<string, CompiledSchedule | Error>();
    for (const { job_uid: uid, revision, spec, zone_data: version } of await on.query(
      revisionsByJob,
      values,
    )) {
      read.set(
        `${uid}/${revision}`,
        orError(() => of(uid, revision, spec, version)),
      );
    }
    return rows
      .map(({ uid, revision }, index) => found[index] ?? read.get(`${uid}/${revision}`))
      .map(orMissing(rows));
  };

  return {
    of: (row) => of(row.uid, row.revision, row.spec, row.zone_data),
    find: (row) => orError(() => of(row.uid, row.revision, row.spec, row.zone_data)),
    load: async (on, rows) => (await loadEach(on, rows)).map(orThrow),
    loadEach,
  };
}

/** Returns what was found for a row, or an error that says that its revision is not stored. */
function orMissing(rows: readonly Pick<JobRow, "uid" | "revision">[]) {
  return (found: CompiledSchedule | Error | undefined, index: number): CompiledSchedule | Error => {
    const row = rows[index];
    return found ?? new Error(`Revision ${row?.revision} of job ${row?.uid} is not in scheduler.revisions.`);
  };
}

function orError(compile: () => CompiledSchedule): CompiledSchedule | Error {
  try {
    return compile();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function orThrow(found: CompiledSchedule | Error): CompiledSchedule {
  if (found instanceof Error) throw found;
  return found;
}
