import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TriggerState, timestampFromDate } from "../../sdk/raw.ts";
import { type ForkedFleet, forkFleet } from "../support/hostile/fork-fleet.ts";
import { reached } from "../support/reached.ts";
import { type FaultScene, nextSecond, openFaultScene, type Troubled } from "./scene.ts";

/** How many attempts of each behaviour run at once. */
const EACH = 50;
const LIMIT_S = 7;
/** What a dispatcher may need beyond what it needed before: 50 bodies of 10 MB would be 500 MiB. */
const MOST_GROWTH_MIB = 200;

test("29 hostile receivers, each with 50 attempts at once, end in bounded time and memory beside a healthy project", {
  timeout: 480_000,
}, async () => {
  await using fleet = await openFleet();
  await using scene = await openFaultScene();
  const memory = watchMemory(scene);
  const startMs = nextSecond();
  const quiet = await scene.healthy.between(startMs, startMs + 5_000);
  const firstMs = nextSecond();
  for (const [index, { behaviour, url }] of fleet.receivers.entries()) {
    memory.restart();
    const seen = await attempt(scene.troubled, `hostile-${index}`, url);
    const row = { ...seen, growthMiB: memory.growthMiB() };
    console.log(`hostile: ${behaviour.name}: ${JSON.stringify(row)}`);
    expect(row.outcomes, behaviour.name).toEqual([behaviour.outcome]);
    expect(row.statusCodes, behaviour.name).toEqual([behaviour.statusCode ?? 0]);
    for (const error of row.errors) expect(error, behaviour.name).toMatch(behaviour.error ?? /^$/);
    expect(row.longestMs, behaviour.name).toBeLessThan((LIMIT_S + 3) * 1_000);
    if (behaviour.endedBy === "receiver") expect(row.medianMs, behaviour.name).toBeLessThan(LIMIT_S * 1_000);
    expect(row.growthMiB, behaviour.name).toBeLessThan(MOST_GROWTH_MIB);
  }
  const beside = await scene.healthy.between(firstMs, nextSecond());
  memory.stop();
  console.log(`hostile receivers: alone ${JSON.stringify(quiet)}, beside them ${JSON.stringify(beside)}`);
  expect(beside.repeated).toBe(0);
  expect(beside.worstMs).toBeLessThan(1_000);
  expect(beside.medianMs).toBeLessThan(quiet.medianMs + 200);
});

/** The receivers, and their authority among those that the product's processes trust. */
async function openFleet(): Promise<ForkedFleet & AsyncDisposable> {
  const fleet = await forkFleet();
  const folder = await mkdtemp(join(tmpdir(), "easycron-hostile-"));
  const file = join(folder, "authority.pem");
  await writeFile(file, fleet.certificate);
  process.env.NODE_EXTRA_CA_CERTS = file;
  return {
    ...fleet,
    [Symbol.asyncDispose]: async () => {
      delete process.env.NODE_EXTRA_CA_CERTS;
      await Promise.all([fleet.stop(), rm(folder, { recursive: true })]);
    },
  };
}

interface Seen {
  readonly outcomes: readonly string[];
  readonly statusCodes: readonly number[];
  readonly errors: readonly string[];
  readonly medianMs: number;
  readonly longestMs: number;
}

/** Makes 50 jobs that fire at once, each with one attempt, and returns what the attempts were. */
async function attempt({ client }: Troubled, name: string, url: string): Promise<Seen> {
  const dueMs = nextSecond(1_000);
  const time = timestampFromDate(new Date(dueMs));
  const requests = Array.from({ length: EACH }, (_, index) => ({
    job: {
      name: `${name}-${index}`,
      schedules: [{ kind: { case: "once" as const, value: { at: { case: "time" as const, value: time } } } }],
      target: { kind: { case: "webhook" as const, value: { url } } },
      payload: { kind: { case: "stringValue" as const, value: "p".repeat(10_000) } },
      retryPolicy: { maxAttempts: 1 },
      attemptTimeout: { seconds: BigInt(LIMIT_S) },
    },
  }));
  await client.raw.jobs.batchCreateJobs({ requests });
  await reached(dueMs);
  const ids = await ended(client, name);
  const attempts = await Promise.all(
    ids.map(async (id) => (await client.triggers.listAttempts(id).toArray())[0]),
  );
  const tookMs = attempts.map((each) => each?.duration ?? Number.NaN).sort((a, b) => a - b);
  const unique = <T>(values: readonly T[]) => [...new Set(values)];
  return {
    outcomes: unique(attempts.map((each) => each?.outcome ?? "none")),
    statusCodes: unique(attempts.map((each) => each?.statusCode ?? -1)),
    errors: unique(attempts.map((each) => each?.error ?? "")),
    medianMs: tookMs[EACH / 2] ?? 0,
    longestMs: tookMs.at(-1) ?? 0,
  };
}

/** Resolves with the ids of the triggers of the 50 jobs, when all have ended. */
async function ended(client: Troubled["client"], name: string): Promise<string[]> {
  let ids: string[] = [];
  const countEnded = async () => {
    const { triggers } = await client.raw.triggers.listTriggers({ pageSize: 2 * EACH });
    const own = triggers.filter(({ job }) => job.startsWith(`${name}-`));
    ids = own.map(({ id }) => id);
    return own.filter(({ state }) => state === TriggerState.SUCCEEDED || state === TriggerState.EXHAUSTED)
      .length;
  };
  await expect.poll(countEnded, { timeout: 30_000, interval: 250 }).toBe(EACH);
  return ids;
}

const SAMPLE_MS = 100;

/** Watches the resident memory of the dispatcher. */
function watchMemory({ mesh }: FaultScene) {
  const [pid] = mesh.pids().dispatcher ?? [];
  const readMiB = () =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
  let first = readMiB();
  let most = first;
  const timer = setInterval(() => {
    most = Math.max(most, readMiB());
  }, SAMPLE_MS);
  return {
    restart: () => {
      first = readMiB();
      most = first;
    },
    /** By how much it has grown at most since the restart. */
    growthMiB: () => Math.round(Math.max(most, readMiB()) - first),
    stop: () => clearInterval(timer),
  };
}
