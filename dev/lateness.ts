import type { Arrival } from "./receiver.ts";

const COUNT = 10;

/**
 * Creates a listener that prints a line for each verified demo trigger. Triggers due before `startMs` are catch-up of
 * earlier runs; they are only counted, in two lines. After ten fire times it prints their median lateness, once.
 */
export function createLatenessReport(
  startMs: number,
  print: (line: string) => void,
): (arrival: Arrival) => void {
  const lateness = new Map<string, number>();
  let old = 0;
  return ({ id, trigger, arrivedMs }) => {
    if (trigger === undefined) return print(`verified ${id}, but its body is not an EasyCron trigger`);
    const nominalMs = Date.parse(trigger.nominalTime);
    if (nominalMs < startMs) {
      old++;
      if (old === 1)
        print(`verified ${trigger.job.name}: catching up on triggers that were due while nothing ran`);
      return;
    }
    if (old > 0) print(`verified ${trigger.job.name}: caught up on ${old} triggers`);
    old = 0;
    const lateMs = arrivedMs - nominalMs;
    print(
      `verified ${trigger.job.name}, due ${trigger.nominalTime}, attempt ${trigger.attempt}, ${lateMs} ms late, ${id}`,
    );
    if (lateness.size >= COUNT || lateness.has(id)) return;
    lateness.set(id, lateMs);
    if (lateness.size === COUNT)
      print(`median lateness of ${COUNT} fire times: ${median([...lateness.values()])} ms`);
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}
