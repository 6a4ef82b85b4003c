import { hashText } from "./hashed.ts";

/**
 * Returns by how much a fire time is delayed to spread load, in whole ms from 0 to less than `windowMs`.
 *
 * The delay depends on the job's id, so a job keeps its place in the window. Where the next fire time (null: none)
 * comes before the window ends, the window shrinks to end there: the delayed fire is always earlier than the next one.
 */
export function flexibleDelay(
  jobUid: string,
  windowMs: number,
  nominalMs: number,
  nextNominalMs: number | null,
): number {
  const room = nextNominalMs === null ? windowMs : Math.min(windowMs, nextNominalMs - nominalMs);
  return Math.floor((hashText(`window ${jobUid}`) / 2 ** 32) * Math.max(0, room));
}
