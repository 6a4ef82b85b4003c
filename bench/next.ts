import { CronExpressionParser } from "cron-parser";
import { parseCron } from "../cron/expression.ts";
import { nextFireTime } from "../cron/next.ts";
import { perSecond } from "./per-second.ts";
import type { Findings, Row } from "./report.ts";

export const title = "fire times computed per second of CPU time, compared with other libraries";

/** Returns the next fire time after an instant, both in epoch milliseconds. */
type Next = (afterMs: number) => number;
type Contender = { name: string; parse: (expression: string, zone: string) => Next };

const SCHEDULES: readonly (readonly [expression: string, zone: string])[] = [
  ["* * * * *", "UTC"],
  ["*/15 * * * *", "Australia/Lord_Howe"],
  ["0 9 * * 1-5", "Europe/Paris"],
  ["30 2 * * *", "America/New_York"],
  ["0 0 1 * *", "America/New_York"],
  ["0 0 13 * 5", "Pacific/Chatham"],
  ["0 0 29 2 *", "America/New_York"],
];
const START_MS = Date.UTC(2026, 0, 1);
const END_MS = Date.UTC(2090, 0, 1);

/**
 * Different expressions of all forms that every library here accepts: values, ranges, steps and lists in each field.
 * There are more of them than a library can cache.
 */
const EXPRESSIONS: readonly string[] = randomExpressions(50_000);

/**
 * Measures two rates for each library: `next` on parsed schedules (the mean over SCHEDULES, and the slowest of them),
 * and parsing one of EXPRESSIONS followed by one `next`. A call that throws counts as a call; `threw` counts those
 * calls.
 */
export async function run(): Promise<Findings> {
  // cron-schedule computes in the time zone of the process only.
  process.env.TZ = "UTC";
  const peers = [await loadCroner(), await loadCronSchedule()].filter((peer) => peer !== null);
  return { rows: [EASYCRON, CRON_PARSER, ...peers, FLOOR].map(measure) };
}

const EASYCRON: Contender = {
  name: "easycron",
  parse: (expression, zone) => {
    const fields = parseCron(expression);
    return (afterMs) => nextFireTime(fields, zone, afterMs) ?? END_MS;
  },
};

const CRON_PARSER: Contender = {
  name: "cron-parser",
  parse: (expression, zone) => {
    const interval = CronExpressionParser.parse(expression, { tz: zone, currentDate: START_MS });
    let reached = START_MS;
    return (afterMs) => {
      // The iterator keeps its position. It needs a reset only to go back to the start.
      if (afterMs !== reached) interval.reset(new Date(afterMs));
      reached = interval.next().getTime();
      return reached;
    };
  },
};

/** The limit: it parses nothing, ignores the zone and checks nothing. */
const FLOOR: Contender = {
  name: "floor",
  parse: () => (afterMs) => (Math.floor(afterMs / 60_000) + 1) * 60_000,
};

function measure({ name, parse }: Contender): Row {
  let threw = 0;
  const attempt = (next: Next, afterMs: number): number => {
    try {
      return next(afterMs);
    } catch {
      threw += 1;
      return afterMs + 86_400_000;
    }
  };
  const rates = SCHEDULES.map(([expression, zone]) => {
    const next = parse(expression, zone);
    let at = START_MS;
    return perSecond(() => {
      at = attempt(next, at);
      if (at >= END_MS) at = START_MS;
    });
  });
  let at = -1;
  const parseAndNext = perSecond(() => {
    at = (at + 1) % EXPRESSIONS.length;
    attempt(parse(EXPRESSIONS[at] ?? "", "Europe/Paris"), START_MS + at * 60_000);
  });
  return {
    name,
    nextPerSecond: Math.round(rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0)),
    slowestNextPerSecond: Math.round(Math.min(...rates)),
    parseAndNextPerSecond: Math.round(parseAndNext),
    threw,
  };
}

function randomExpressions(count: number): string[] {
  const found = new Set<string>();
  let state = 1;
  // Lehmer's generator with a fixed seed, so that all libraries and all runs get the same expressions.
  const random = (limit: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
  const field = (min: number, max: number): string => {
    const from = min + random(max - min);
    const to = from + 1 + random(max - from);
    const step = 1 + random(max - min);
    const list = `${min},${from + 1}${from + 1 < to ? `,${to}` : ""}`;
    const forms = ["*", "*", `${from}`, `${from}-${to}`, `${from}-${to}/${step}`, `*/${step}`, list];
    return forms[random(forms.length)] ?? "*";
  };
  while (found.size < count) {
    found.add(`${field(0, 59)} ${field(0, 23)} ${field(1, 28)} ${field(1, 12)} ${field(0, 6)}`);
  }
  return [...found];
}

type Croner = {
  Cron: new (expression: string, options: object) => { nextRun: (after: Date) => Date | null };
};
type CronSchedule = { parseCronExpression: (expression: string) => { getNextDate: (after: Date) => Date } };

/** Loads another library, which is a development dependency only. Returns null when it is not installed. */
async function loadPeer(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch {
    console.log(`${name} is not installed, so it is left out`);
    return null;
  }
}

async function loadCroner(): Promise<Contender | null> {
  const module = (await loadPeer("croner")) as Croner | null;
  if (module === null) return null;
  return {
    name: "croner",
    parse: (expression, zone) => {
      const cron = new module.Cron(expression, { timezone: zone, paused: true, sloppyRanges: true });
      return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() ?? END_MS;
    },
  };
}

async function loadCronSchedule(): Promise<Contender | null> {
  const module = (await loadPeer("cron-schedule")) as CronSchedule | null;
  if (module === null) return null;
  return {
    name: "cron-schedule (UTC only)",
    parse: (expression) => {
      const cron = module.parseCronExpression(expression);
      return (afterMs) => cron.getNextDate(new Date(afterMs)).getTime();
    },
  };
}
