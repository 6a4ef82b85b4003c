import { setTimeout as pause } from "node:timers/promises";
import { CronDialect, EasyCron, EasyCronError, JobState, toPayload } from "../sdk/index.ts";
import type { DemoKeys } from "./keys.ts";

const JOB = "demo";
const PAUSE_NOTE = "npm start is not running, so nobody listens";

/**
 * Makes the demo project, its API key and its signing key over the public API; a project that the keys still open is
 * taken as it is. `known` may be of another database.
 */
export async function ensureProject(url: string, operatorKey: string, known?: DemoKeys): Promise<DemoKeys> {
  if (known !== undefined && (await isAlive(url, known.apiKey))) return known;
  const operator = new EasyCron({ url, apiKey: operatorKey });
  const { project } = await patiently(() =>
    operator.projects.createProject({ project: { displayName: "demo" } }),
  );
  const id = project?.id ?? "";
  const apiKey = await patiently(() =>
    operator.apiKeys.createApiKey({ project: id, apiKey: { displayName: "demo" } }),
  );
  const own = new EasyCron({ url, apiKey: apiKey.secret });
  const signingKey = await patiently(() => own.signingKeys.createSigningKey({}));
  return { project: id, apiKey: apiKey.secret, signingSecret: signingKey.secret };
}

async function isAlive(url: string, apiKey: string): Promise<boolean> {
  try {
    await patiently(() => new EasyCron({ url, apiKey }).jobs.listJobs({ pageSize: 1 }));
    return true;
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "API_KEY_INVALID") return false;
    throw error;
  }
}

const TRY_FOR_MS = 10_000;
const PAUSE_MS = 100;

/** The services have just started, and may not have found each other yet. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + TRY_FOR_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isPassing = error instanceof EasyCronError && error.code === "UNAVAILABLE";
      if (!isPassing || performance.now() > untilMs) throw error;
      await pause(PAUSE_MS);
    }
  }
}

/**
 * Has the job "demo" fire every 10 seconds at the receiver. One that exists keeps everything else, and stays paused
 * if somebody paused it.
 */
export async function ensureDemoJob(client: EasyCron, receiverUrl: string): Promise<void> {
  const target = { kind: { case: "webhook", value: { url: receiverUrl } } } as const;
  const cron = { expression: "*/10 * * * * *", dialect: CronDialect.WITH_SECONDS };
  try {
    await patiently(() =>
      client.jobs.createJob({
        job: {
          name: JOB,
          schedules: [{ kind: { case: "cron", value: cron } }],
          target,
          payload: toPayload({ hello: "world" }),
        },
      }),
    );
  } catch (error) {
    if (!(error instanceof EasyCronError) || error.reason !== "JOB_ALREADY_EXISTS") throw error;
    const { job } = await client.jobs.updateJob({
      job: { name: JOB, target },
      updateMask: { paths: ["target"] },
    });
    const isOurPause = job?.state === JobState.PAUSED && job.pauseNote === PAUSE_NOTE;
    if (isOurPause) await client.jobs.resumeJob({ name: JOB });
  }
}

/** Keeps the demo job from falling due while nobody listens; best effort, as everything is about to stop. */
export async function pauseDemoJob(client: EasyCron): Promise<void> {
  try {
    const { job } = await client.jobs.getJob({ name: JOB }, { timeoutMs: 500 });
    if (job?.state === JobState.ACTIVE) {
      await client.jobs.pauseJob({ name: JOB, note: PAUSE_NOTE }, { timeoutMs: 500 });
    }
  } catch {
    // Then its fire times are made up for at the next start.
  }
}

/** How to call the API from a shell, ready to be pasted. */
export function describeFirstCall(url: string, manifestPath: string): string[] {
  const read = `process.stdout.write(require(${JSON.stringify(manifestPath)}).apiKey)`;
  return [
    "",
    "Create a job of your own (a POST to the URL every minute):",
    "",
    `  KEY=$(node -e ${quote(read)})`,
    `  curl -s ${url}/easycron.v1.JobService/CreateJob \\`,
    `    -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{`,
    `      "job": {`,
    `        "name": "my-first-job",`,
    `        "schedules": [{ "cron": { "expression": "* * * * *" } }],`,
    `        "target": { "webhook": { "url": "http://127.0.0.1:9000/" } }`,
    `      } }'`,
    "",
  ];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
