import { fromSpecJson } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import type { AuditEpochRow } from "./audits.sql.ts";

/** A revision's schedule and policies, compiled for one audit and not shared with other code. */
export interface RevisionRules {
  readonly schedule: CompiledSchedule;
  /**
   * Whether a fire time may wait, and so be decided after later ones: for a window, an opening or an earlier trigger.
   */
  readonly mayWait: boolean;
}

/** How many epochs after the range are read: a later revision decides what was still waiting at a change. */
const LATER_EPOCHS = 20;

/**
 * Returns the numbers of the revisions that decided the fire times of a range: those of the epochs that overlap the
 * range, and of up to 20 epochs after it.
 */
export function wantedRevisions(
  epochs: readonly AuditEpochRow[],
  { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number },
): number[] {
  const first = epochs.findLastIndex(({ after_time }) => after_time < fromMs);
  const within = epochs.slice(Math.max(0, first));
  const later = within.findIndex(({ after_time }) => after_time >= untilMs);
  const wanted = within.slice(0, later === -1 ? undefined : later + LATER_EPOCHS);
  return [...new Set(wanted.map(({ revision }) => revision))];
}

/** A revision as it is stored. */
export interface StoredRevision {
  readonly revision: number;
  readonly spec: string;
  readonly zone_data: string;
}

/** Compiles the rules of a job's revisions, by number. Throws if a revision no longer compiles. */
export function toRevisionRules(
  parts: Pick<Parts, "zoneData">,
  jobUid: string,
  revisions: readonly StoredRevision[],
): Map<number, RevisionRules> {
  return new Map(
    revisions.map(({ revision, spec, zone_data: version }) => {
      const options = { allowNeverFiring: true, zoneData: parts.zoneData.release(version) };
      const schedule = compileSchedule(fromSpecJson(spec), jobUid, options);
      return [revision, { schedule, mayWait: mayWait(schedule) }];
    }),
  );
}

function mayWait({ plan, calendars, policies }: CompiledSchedule): boolean {
  const defers = calendars.some(({ outside }) => outside === "DEFER");
  return plan.flexibleWindow !== undefined || defers || policies.overlap === "BUFFER";
}
