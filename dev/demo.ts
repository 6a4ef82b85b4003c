import { setTimeout as pause } from "node:timers/promises";
import { ConflictError, cron, EasyCron, EasyCronError, webhook } from "../sdk/index.ts";
import type { DemoKeys } from "./keys.ts";

const JOB = "demo";
// Data directories of earlier versions have jobs with this note, so its text does not change.
const PAUSE_NOTE = "npm start is not running, so nobody listens";

/**
 * Creates the demo project with an API key and a signing key through the public API, and returns its keys. When the
 * API key in `known` still works, it creates nothing and returns `known`. The key may be of another database.
 */
export async function ensureProject(url: string, operatorKey: string, known?: DemoKeys): Promise<DemoKeys> {
  if (known !== undefined && (await isValid(url, known.apiKey))) return known;
  const operator = new EasyCron({ url, apiKey: operatorKey });
  const { id: project } = await patiently(() => operator.projects.create({ displayName: "demo" }));
  const { secret: apiKey } = await patiently(() =>
    operator.apiKeys.create({ project, apiKey: { displayName: "demo" } }),
  );
  const own = new EasyCron({ url, apiKey });
  const { secret: signingSecret } = await patiently(() => own.signingKeys.create());
  return { project, apiKey, signingSecret };
}

async function isValid(url: string, apiKey: string): Promise<boolean> {
  try {
    const { system } = new EasyCron({ url, apiKey });
    await patiently(() => system.getServerInfo());
    return true;
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "API_KEY_INVALID") return false;
    throw error;
  }
}

const TRY_FOR_MS = 10_000;
const PAUSE_MS = 100;

/**
 * Retries a call while it is UNAVAILABLE, for at most 10 s: services that have just started may not be connected yet.
 */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + TRY_FOR_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isRetryable = error instanceof EasyCronError && error.code === "UNAVAILABLE";
      if (!isRetryable || performance.now() > untilMs) throw error;
      await pause(PAUSE_MS);
    }
  }
}

/**
 * Creates the job "demo", which fires every 10 seconds and calls the receiver. If the job exists, only its target
 * changes, and it is resumed only if `pauseDemoJob` paused it.
 */
export async function ensureDemoJob(client: EasyCron, receiverUrl: string): Promise<void> {
  const target = webhook(receiverUrl);
  const schedule = cron("*/10 * * * * *", { dialect: "WITH_SECONDS" });
  try {
    const job = { name: JOB, schedule, target, payload: { hello: "world" } };
    await patiently(() => client.jobs.create(job));
  } catch (error) {
    if (!(error instanceof ConflictError) || error.reason !== "JOB_ALREADY_EXISTS") throw error;
    const { state, pauseNote } = await client.jobs.update({ name: JOB, target });
    if (state === "PAUSED" && pauseNote === PAUSE_NOTE) await client.jobs.resume(JOB);
  }
}

/** Pauses the demo job before the product stops, so that no fire time is missed meanwhile. Ignores every failure. */
export async function pauseDemoJob(client: EasyCron): Promise<void> {
  try {
    const { state } = await client.jobs.get(JOB, { timeoutMs: 500 });
    if (state === "ACTIVE") await client.jobs.pause(JOB, { note: PAUSE_NOTE, timeoutMs: 500 });
  } catch {
    // The job then stays active, and the next start runs a catch-up.
  }
}

/**
 * Returns lines of text that show how to create a job with curl, ready to paste into a shell. The job calls the demo
 * receiver, which prints its triggers.
 */
export function describeFirstCall(url: string, manifestPath: string, receiverUrl: string): string[] {
  const read = `process.stdout.write(require(${JSON.stringify(manifestPath)}).apiKey)`;
  return [
    "",
    "Create a job of your own, whose triggers are printed here (README.md shows a receiver of your own):",
    "",
    `  KEY=$(node -e ${quote(read)})`,
    `  curl -s ${url}/easycron.v1.JobService/CreateJob \\`,
    `    -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{`,
    `      "job": {`,
    `        "name": "my-first-job",`,
    `        "schedules": [{ "rate": { "every": "10s" } }],`,
    `        "target": { "webhook": { "url": "${receiverUrl}" } }`,
    `      } }'`,
    "",
  ];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
