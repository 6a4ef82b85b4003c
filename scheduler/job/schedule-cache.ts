import type { Queryable } from "../../db/pool.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { fromSpecJson, type JobRow } from "./job.ts";
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

/** Makes a cache of at most `maxEntries` schedules. The least recently used one is dropped first. */
export function createScheduleCache(maxEntries: number, zoneData: Pick<ZoneData, "release">): ScheduleCache {
  const entries = new Map<string, CompiledSchedule>();

  const keep = (key: string, compiled: CompiledSchedule): CompiledSchedule => {
    entries.delete(key);
    entries.set(key, compiled);
    if (entries.size > maxEntries) {
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        break;
      }
    }
    return compiled;
  };

  const of = (uid: string, revision: number, spec: string, version: string): CompiledSchedule => {
    const key = `${uid}/${revision}`;
    const known = entries.get(key);
    if (known !== undefined) return keep(key, known);
    return keep(key, compileSchedule(fromSpecJson(spec), uid, { zoneData: zoneData.release(version) }));
  };

  const loadEach: ScheduleCache["loadEach"] = async (on, rows) => {
    // Take these out of the cache first: the entries that are added below may push them out.
    const read = new Map<string, CompiledSchedule | Error>();
    for (const { uid, revision } of rows) {
      const known = entries.get(`${uid}/${revision}`);
      if (known !== undefined) read.set(`${uid}/${revision}`, known);
    }
    const missing = rows.filter((row) => !read.has(`${row.uid}/${row.revision}`));
    if (missing.length > 0) {
      const values = [missing.map((row) => row.uid), missing.map((row) => row.revision)];
      for (const found of await on.query(revisionsByJob, values)) {
        const key = `${found.job_uid}/${found.revision}`;
        read.set(
          key,
          orError(() => of(found.job_uid, found.revision, found.spec, found.zone_data)),
        );
      }
    }
    return rows.map((row) => {
      const key = `${row.uid}/${row.revision}`;
      const compiled = read.get(key);
      if (compiled === undefined)
        return new Error(`Revision ${row.revision} of job ${row.uid} is not in scheduler.revisions.`);
      return compiled instanceof Error ? compiled : keep(key, compiled);
    });
  };

  return {
    of: (row) => of(row.uid, row.revision, row.spec, row.zone_data),
    find: (row) => orError(() => of(row.uid, row.revision, row.spec, row.zone_data)),
    load: async (on, rows) => (await loadEach(on, rows)).map(orThrow),
    loadEach,
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
