import { hashText } from "./hashed.ts";

/**
 * Returns the delay of a fire time that spreads load: whole milliseconds, from 0 to less than `windowMs`.
 *
 * The delay depends on the job's id, so a job always has the same place in the window. If the next fire time
 * (`nextNominalMs`, null if there is none) comes before the end of the window, the window ends there. So a delayed fire
 * time is always earlier than the next fire time.
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
