import { printable } from "../mesh/printable.ts";

/** The brokers that `npm start` can run for the plugins. */
export const BROKERS = ["redis", "kafka"] as const;

/** The name of a broker. */
export type BrokerName = (typeof BROKERS)[number];

/** What the command line of `npm start` asks for. */
export interface Arguments {
  /** The brokers of `--with`, in the order in which they start. */
  readonly brokers: readonly BrokerName[];
  /** Whether the trace of each trigger is printed: `--telemetry`. */
  readonly showsTraces: boolean;
  /** What is wrong, one sentence each: what, with which value, and what is accepted. */
  readonly problems: readonly string[];
}

const USAGE = `npm start accepts --with ${BROKERS.join(",")} (one of them or both) and --telemetry`;

/** Reads `--with redis,kafka` or `--with=redis,kafka`, and `--telemetry`. Nothing else is accepted. */
export function readArguments(args: readonly string[]): Arguments {
  const names: string[] = [];
  const problems: string[] = [];
  let showsTraces = false;
  const left = [...args];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const list = /^--with(?:=(.*))?$/s.exec(word);
    if (word === "--telemetry") showsTraces = true;
    else if (list === null) problems.push(`"${printable(word)}" is not an argument of npm start; ${USAGE}.`);
    else names.push(...(list[1] ?? left.shift() ?? "").split(","));
  }
  const unknown = names.filter((name) => !BROKERS.some((known) => known === name));
  if (unknown.length > 0) {
    const shown = unknown.map((name) => `"${printable(name)}"`).join(", ");
    problems.push(`--with names ${shown}; ${USAGE}.`);
  }
  return { brokers: BROKERS.filter((name) => names.includes(name)), showsTraces, problems };
}
