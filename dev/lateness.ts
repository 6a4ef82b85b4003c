import type { Arrival } from "./receiver.ts";

const COUNT = 10;

/**
 * Turns verified demo triggers into lines to print: one for each, those of before this run counted together, and
 * after ten fire times their median lateness, once.
 */
export function createLatenessReport(
  startMs: number,
  print: (line: string) => void,
): (arrival: Arrival) => void {
  const lateness = new Map<string, number>();
  let old = 0;
  return ({ id, trigger, arrivedMs }) => {
    if (trigger === undefined) return print(`verified ${id}, which is no trigger of EasyCron's`);
    const nominalMs = Date.parse(trigger.nominalTime);
    if (nominalMs < startMs) {
      old++;
      if (old === 1)
        print(`verified ${trigger.job.name}: triggers are being made up for that fell due while nothing ran`);
      return;
    }
    if (old > 0) print(`verified ${trigger.job.name}: ${old} triggers were made up for`);
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
