import type { TriggerFired } from "../trigger-fired.ts";

/** The most missing numbers that are remembered for a job. Beyond them the oldest are forgotten. */
const MAX_MISSING = 1_000;

/** What is remembered of a job's chain. It is stored as JSON. */
export interface ChainState {
  /** The largest number that was seen. */
  readonly seq: number;
  /** The nominal time of that trigger. */
  readonly nominalTime: string;
  /** The smaller numbers that have not been seen since the first one, in order. */
  readonly missing: readonly number[];
  /** The gap before the largest number, if there was one. */
  readonly gap?: ChainGap | undefined;
}

/** Numbers of a job's chain that have not arrived. */
export interface ChainGap {
  /** The job. */
  readonly job: TriggerFired["job"];
  /** The first and the last number that is missing. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** The nominal times of the triggers on both sides of the gap. The missing ones lie between them. */
  readonly afterNominalTime: string;
  readonly beforeNominalTime: string;
}

/** What a trigger tells of its job's chain. */
export type ChainCheck =
  /** Nothing is wrong: it is the first one seen, the next one, a copy, or not part of the chain (`seq` is 0). */
  | { readonly kind: "OK" }
  /** It was missing, and comes late. */
  | { readonly kind: "LATE" }
  /** Triggers before it have not arrived. They may be on their way: each may be retried. */
  | { readonly kind: "GAP"; readonly gap: ChainGap }
  /**
   * It is the next one by its number, but the one before it had another nominal time than it says. The numbers were not
   * given by the same history of the job, for example because EasyCron's database was restored from a backup.
   */
  | { readonly kind: "MISMATCH"; readonly seen: string; readonly previousNominalTime: string | null };

/** A check, and what to remember from now on; undefined if that stays. */
export interface ChainStep {
  readonly check: ChainCheck;
  readonly next: ChainState | undefined;
}

const OK: ChainStep = { check: { kind: "OK" }, next: undefined };

/**
 * Compares a trigger with what is remembered of its job's chain:
 *
 * 1. A number of 0 is not part of the chain: a manual run, or a fire time that only a backfill delivers.
 * 2. The first number seen begins the chain, whatever it is.
 * 3. A number not larger than the largest is a copy, or one that was missing. A copy of the trigger that showed a gap
 *    shows it again while numbers are missing, because its first attempt may not have told anybody.
 * 4. The number after the largest continues the chain. Its previousNominalTime must be the nominal time remembered.
 * 5. A larger number leaves a gap, whose numbers are remembered as missing.
 */
export function stepChain(state: ChainState | undefined, trigger: TriggerFired): ChainStep {
  const { seq, nominalTime, previousNominalTime, job } = trigger;
  if (seq <= 0) return OK;
  if (state === undefined) return { check: { kind: "OK" }, next: { seq, nominalTime, missing: [] } };
  if (seq <= state.seq) return stepBack(state, seq);
  const fromSeq = state.seq + 1;
  if (seq === fromSeq) {
    const next = { seq, nominalTime, missing: state.missing };
    if (previousNominalTime === state.nominalTime) return { check: { kind: "OK" }, next };
    return { check: { kind: "MISMATCH", seen: state.nominalTime, previousNominalTime }, next };
  }
  const gap = {
    job,
    fromSeq,
    toSeq: seq - 1,
    afterNominalTime: state.nominalTime,
    beforeNominalTime: nominalTime,
  };
  const first = Math.max(fromSeq, seq - MAX_MISSING);
  const left = Array.from({ length: seq - first }, (_, index) => first + index);
  const missing = [...state.missing, ...left].slice(-MAX_MISSING);
  return { check: { kind: "GAP", gap }, next: { seq, nominalTime, missing, gap } };
}

function stepBack(state: ChainState, seq: number): ChainStep {
  const { missing, gap } = state;
  if (missing.includes(seq)) {
    return { check: { kind: "LATE" }, next: { ...state, missing: missing.filter((each) => each !== seq) } };
  }
  const isOpen = gap !== undefined && missing.some((each) => each >= gap.fromSeq && each <= gap.toSeq);
  return seq === state.seq && isOpen ? { check: { kind: "GAP", gap }, next: undefined } : OK;
}
