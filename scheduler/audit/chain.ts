import { triggerId } from "../job/trigger-id.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import { mayHaveWaited } from "./expected-times.ts";
import type { AuditRecord } from "./record.ts";
import type { RecordedFireTime } from "./recorded-fire-times.ts";

/**
 * Checks that the scheduled triggers form one chain:
 *
 * - sequence numbers count up from 1, without a repetition;
 * - each trigger follows the one that it names as the previous one;
 * - the last trigger is the one that the job's row names;
 * - the numbers of skipped and missed fire times that each trigger states are right.
 */
export function compareChain(record: AuditRecord, recorded: readonly RecordedFireTime[]): LedgerDifference[] {
  const chain = record.triggers.filter(
    ({ id, kind, fire_time }) => kind !== "BACKFILL" && id === triggerId(record.row.uid, fire_time),
  );
  const undecided = new Set(recorded.filter((each) => each.isUndecided).map(({ atMs }) => atMs));
  const decided = chain.filter((each) => !undecided.has(each.fire_time));
  return [
    ...compareSequence(record, chain),
    ...compareEnd(record, decided),
    ...compareCounts(recorded, new Map(chain.map((each) => [each.fire_time, each]))),
  ].map(({ atMs, detail }) => ({ kind: "BROKEN_CHAIN", atMs, detail }));
}

type Broken = Omit<LedgerDifference, "kind">;

function compareSequence(record: AuditRecord, chain: readonly AuditTriggerRow[]): Broken[] {
  const broken: Broken[] = [];
  const idBySeq = new Map<number, string>();
  const within = chain.map((each): [number, number] => [each.fire_time, each.seq]);
  const before = record.predecessors.filter(({ kind }) => kind !== "BACKFILL");
  const seqs = new Map([...before.map((each): [number, number] => [each.fire_time, each.seq]), ...within]);
  for (const { id, seq, fire_time: atMs, previous_fire_time: previousMs } of chain) {
    const other = idBySeq.get(seq);
    if (other !== undefined) broken.push({ atMs, detail: `${id} and ${other} both have seq ${seq}.` });
    idBySeq.set(seq, id);
    const previousSeq = previousMs === null ? 0 : seqs.get(previousMs);
    // The trigger before it may be removed.
    if (previousSeq === undefined && previousMs !== null && previousMs < record.floorMs) continue;
    if (previousSeq === undefined) {
      broken.push({
        atMs,
        detail: `${id}, with seq ${seq}, names ${isoOrNone(previousMs)} as the previous fire time, which has no trigger.`,
      });
    } else if (seq !== previousSeq + 1) {
      const after =
        previousMs === null
          ? "is the first trigger"
          : `follows ${isoOrNone(previousMs)}, with seq ${previousSeq}`;
      broken.push({ atMs, detail: `${id} has seq ${seq}, not ${previousSeq + 1}: it ${after}.` });
    }
  }
  return broken;
}

// Undecided fire times are left out: a turn that did not commit may have handed them over, and then the row lacks them.
function compareEnd({ row }: AuditRecord, chain: readonly AuditTriggerRow[]): Broken[] {
  return chain.flatMap(({ id, seq, fire_time: atMs }) => {
    const last = atMs === row.last_fire_time;
    if (last ? seq === row.last_seq : seq < row.last_seq) return [];
    return [
      {
        atMs,
        detail: `${id} has seq ${seq}; the job's row names seq ${row.last_seq}, fire time ${isoOrNone(row.last_fire_time)}, as the last.`,
      },
    ];
  });
}

// Checks only periods in which fire times are decided in their order. A fire time that waits is counted when it is
// decided, which can be after later ones.
function compareCounts(
  recorded: readonly RecordedFireTime[],
  chain: ReadonlyMap<number, AuditTriggerRow>,
): Broken[] {
  const broken: Broken[] = [];
  let since: { readonly atMs: number; skipped: number; missed: number } | null = null;
  for (const { atMs, skip, segment, isUndecided } of recorded) {
    if (mayHaveWaited(segment, atMs) || isUndecided) since = null;
    const trigger = chain.get(atMs);
    if (trigger === undefined) {
      if (since !== null && skip?.verdict === "MISSED") since.missed += 1;
      else if (since !== null) since.skipped += 1;
      continue;
    }
    const {
      id,
      previous_fire_time: previousMs,
      previous_skipped: skipped,
      previous_missed: missed,
    } = trigger;
    const known = since !== null && since.atMs === previousMs;
    if (since !== null && known && (since.skipped !== skipped || since.missed !== missed)) {
      const detail = `${id} states ${skipped} skipped and ${missed} missed fire times before it; the ledger has ${since.skipped} and ${since.missed}.`;
      broken.push({ atMs, detail });
    }
    since = { atMs, skipped: 0, missed: 0 };
  }
  return broken;
}
