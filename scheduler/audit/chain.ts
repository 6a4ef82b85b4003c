import { triggerId } from "../job/trigger-id.ts";
import type { AuditTriggerRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import type { AuditRecord } from "./record.ts";
import type { RecordedFireTime } from "./recorded-fire-times.ts";

/**
 * Holds the scheduled triggers to their chain: places are counted from 1, each trigger follows the one that it names,
 * the last is the one that the job's row names, and what each says was skipped and missed since is so.
 */
export function compareChain(record: AuditRecord, recorded: readonly RecordedFireTime[]): LedgerDifference[] {
  const chain = record.triggers.filter(
    ({ id, kind, fire_time }) => kind !== "BACKFILL" && id === triggerId(record.row.uid, fire_time),
  );
  const isUndecided = new Set(recorded.filter((each) => each.isUndecided).map(({ atMs }) => atMs));
  const follows = chain.filter((each) => !isUndecided.has(each.fire_time));
  return [
    ...comparePlaces(record, chain),
    ...compareEnd(record, follows),
    ...compareCounts(recorded, new Map(chain.map((each) => [each.fire_time, each]))),
  ].map(({ atMs, detail }) => ({ kind: "BROKEN_CHAIN", atMs, detail }));
}

type Broken = Omit<LedgerDifference, "kind">;

function comparePlaces(record: AuditRecord, chain: readonly AuditTriggerRow[]): Broken[] {
  const broken: Broken[] = [];
  const places = new Map<number, string>();
  const within = chain.map((each): [number, number] => [each.fire_time, each.seq]);
  const before = record.predecessors.filter(({ kind }) => kind !== "BACKFILL");
  const seqs = new Map([...before.map((each): [number, number] => [each.fire_time, each.seq]), ...within]);
  for (const { id, seq, fire_time: atMs, previous_fire_time: previousMs } of chain) {
    const other = places.get(seq);
    if (other !== undefined) broken.push({ atMs, detail: `${id} has place ${seq}, as ${other} has.` });
    places.set(seq, id);
    const place = previousMs === null ? 1 : seqs.get(previousMs);
    if (place === undefined) {
      broken.push({
        atMs,
        detail: `${id}, in place ${seq}, follows ${isoOrNone(previousMs)}, which has no trigger.`,
      });
    } else if (seq !== (previousMs === null ? 1 : place + 1)) {
      const followed =
        previousMs === null ? "is the first" : `follows ${isoOrNone(previousMs)}, in place ${place}`;
      broken.push({ atMs, detail: `${id} has place ${seq}, and ${followed}.` });
    }
  }
  return broken;
}

// What is open may have been handed over by a turn that was not committed: the row does not know of it yet.
function compareEnd({ row }: AuditRecord, chain: readonly AuditTriggerRow[]): Broken[] {
  return chain.flatMap(({ id, seq, fire_time: atMs }) => {
    const last = atMs === row.last_fire_time;
    if (last ? seq === row.last_seq : seq < row.last_seq) return [];
    return [
      {
        atMs,
        detail: `${id} has place ${seq}; the job's last is ${row.last_seq}, ${isoOrNone(row.last_fire_time)}.`,
      },
    ];
  });
}

// Only where fire times are decided in their order: one that waits is counted when it is decided.
function compareCounts(
  recorded: readonly RecordedFireTime[],
  chain: ReadonlyMap<number, AuditTriggerRow>,
): Broken[] {
  const broken: Broken[] = [];
  let since: { readonly atMs: number; skipped: number; missed: number } | null = null;
  for (const { atMs, skip, segment, isUndecided } of recorded) {
    if (segment.rules.mayWait || isUndecided) since = null;
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
      const detail = `${id} counts ${skipped} skipped and ${missed} missed before it, not ${since.skipped} and ${since.missed}.`;
      broken.push({ atMs, detail });
    }
    since = { atMs, skipped: 0, missed: 0 };
  }
  return broken;
}
