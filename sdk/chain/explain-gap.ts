import type { EasyCron } from "../easycron.ts";
import type { LedgerEntry } from "../resources.ts";
import type { ChainGap } from "./chain-state.ts";

/** The most fire times that are read. */
const MAX_ENTRIES = 10_000;

/**
 * Asks EasyCron's ledger why triggers are missing: `await explainGap(new EasyCron(), gap)`. Returns the ledger's entries
 * of the missing numbers, oldest first. `trigger.state` says why each has not come: RETRYING and PENDING ones are on
 * their way, EXHAUSTED ones have used up their attempts, CANCELLED ones are no longer wanted. One that is SUCCEEDED was
 * answered with 2xx, so look at what answered. At most the first 10,000 fire times of the gap are read. Throws an
 * EasyCronError.
 *
 * @example
 * ```ts
 * const check = checkChain(memoryStore());
 * await check(signTrigger({ seq: 1, nominalTime: "2027-01-01T09:00:00.000Z" }).trigger);
 * const found = await check(signTrigger({ seq: 4, nominalTime: "2027-01-01T12:00:00.000Z" }).trigger);
 * if (found.kind === "GAP") {
 *   for (const { trigger } of await explainGap(new EasyCron(), found.gap)) console.log(trigger?.state);
 * }
 * ```
 */
export async function explainGap(easycron: Pick<EasyCron, "ledger">, gap: ChainGap): Promise<LedgerEntry[]> {
  const { job, fromSeq, toSeq, afterNominalTime, beforeNominalTime } = gap;
  const found: LedgerEntry[] = [];
  let count = 0;
  const entries = easycron.ledger.list({
    job: job.name,
    startTime: afterNominalTime,
    endTime: beforeNominalTime,
  });
  for await (const entry of entries) {
    if (++count > MAX_ENTRIES) break;
    const { seq = 0, jobUid } = entry.trigger ?? {};
    // The name may belong to another job by now.
    if (jobUid === job.uid && seq >= fromSeq && seq <= toSeq) found.push(entry);
  }
  return found;
}
