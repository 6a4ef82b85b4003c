import { CronExpressionParser } from "cron-parser";
import { parseCron } from "../cron/expression.ts";
import { nextFireTime } from "../cron/next.ts";
import type { Row } from "./report.ts";

export const title = "fire times computed per second on one core, ours beside other libraries";

/** Gives the next fire time after an instant, both epoch ms. */
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
const MEASURE_MS = 300;

/**
 * Measures, for each library, `next` on parsed schedules (the mean over the schedules, and the slowest of them) and
 * parsing with one `next`. A throw counts as an evaluation; `threw` says how many there were.
 */
export async function run(): Promise<readonly Row[]> {
  // cron-schedule knows no zone but the process's.
  process.env.TZ = "UTC";
  const peers = [await loadCroner(), await loadCronSchedule()].filter((peer) => peer !== null);
  return [EASYCRON, CRON_PARSER, ...peers, FLOOR].map(measure);
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
      // It keeps its place; only going back to the start costs a reset.
      if (afterMs !== reached) interval.reset(new Date(afterMs));
      reached = interval.next().getTime();
      return reached;
    };
  },
};

/** What is left when nothing is parsed, no zone is asked and nothing can be wrong. */
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
  let minute = 0;
  const parseAndNext = perSecond(() => {
    minute += 1;
    attempt(
      parse(`${minute % 60} ${minute % 24} * * ${minute % 7}`, "Europe/Paris"),
      START_MS + minute * 60_000,
    );
  });
  return {
    name,
    nextPerSecond: Math.round(rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0)),
    slowestNextPerSecond: Math.round(Math.min(...rates)),
    parseAndNextPerSecond: Math.round(parseAndNext),
    threw,
  };
}

/** Calls an operation in rounds, the first not counted, for some 0.3 s. */
function perSecond(operation: () => void): number {
  let round = 100;
  for (;;) {
    const start = performance.now();
    for (let n = 0; n < round; n += 1) operation();
    const elapsed = performance.now() - start;
    if (elapsed >= MEASURE_MS) return (round / elapsed) * 1000;
    round = Math.ceil(round * Math.min(10, Math.max(2, (MEASURE_MS * 1.2) / Math.max(elapsed, 1))));
  }
}

type Croner = {
  Cron: new (expression: string, options: object) => { nextRun: (after: Date) => Date | null };
};
type CronSchedule = { parseCronExpression: (expression: string) => { getNextDate: (after: Date) => Date } };

/** The peers are measured where they are installed; the product does without them. */
async function loadPeer(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch {
    console.log(`${name} is not installed and left out`);
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
