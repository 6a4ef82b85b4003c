import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ScheduleSchema } from "../sdk/gen/easycron/v1/schedule_pb.ts";
import { EasyCron } from "../sdk/index.ts";
import type { SinkAnswer, SinkQuestion } from "./sink.ts";

const root = resolve(import.meta.dirname, "..");

/** The product as `npm start` runs it, without the demo, with its own data directory. */
export interface Product {
  readonly client: EasyCron;
  /** The id of the client's project. */
  readonly project: string;
  /** Its data directory. */
  readonly data: string;
  /** CPU time used so far by all its processes, PostgreSQL included, in microseconds. */
  cpuMicros(): number;
  stop(): Promise<void>;
}

/** Starts the product, with further arguments of `npm start`, and waits until it is ready. */
export async function startProduct(args: readonly string[] = []): Promise<Product> {
  const data = mkdtempSync(join(tmpdir(), "easycron-bench-"));
  const env = { ...process.env, EASYCRON_DEMO: "off", EASYCRON_PORT: "0", EASYCRON_DATA_DIR: data };
  const child = spawn(process.execPath, ["dev/main.ts", ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<void>((done) => child.once("exit", () => done()));
  await new Promise<void>((ready, fail) => {
    child.stdout.on("data", (text: Buffer) => /^ready /m.test(text.toString()) && ready());
    child.once("exit", (code) => fail(new Error(`The product ended with ${code} before it was ready.`)));
  });
  const { url, apiKey, project } = JSON.parse(readFileSync(join(data, "dev.json"), "utf8")) as Record<
    "url" | "apiKey" | "project",
    string
  >;
  return {
    client: new EasyCron({ url, apiKey }),
    project,
    data,
    cpuMicros: () => cpuOfTree(child.pid ?? 0),
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Starts a program of this folder and waits for its first message. */
export async function startProgram<T>(file: string): Promise<{ program: ChildProcess; first: T }> {
  const program = fork(join(import.meta.dirname, file), { execArgv: [] });
  return { program, first: await nextMessage<T>(program) };
}

/** Returns the next message that a program sends. */
export function nextMessage<T>(program: ChildProcess): Promise<T> {
  return new Promise((done) => program.once("message", (message) => done(message as T)));
}

/** Asks the sink what arrived. */
export function askSink(sink: ChildProcess, question: SinkQuestion): Promise<SinkAnswer> {
  const answer = nextMessage<SinkAnswer>(sink);
  sink.send(question);
  return answer;
}

/** Returns a schedule that is due whenever a cron expression with seconds matches, in UTC. */
export function cronSchedule(expression: string): Schedule {
  return { kind: { case: "cron", value: { expression, dialect: 2 } } };
}

/** Returns a schedule that is due every second, `offsetMs` after the full second. */
export function everySecondAt(offsetMs: number): Schedule {
  const anchorTime = { seconds: 0n, nanos: offsetMs * 1_000_000 };
  return { kind: { case: "rate", value: { every: { seconds: 1n, nanos: 0 }, anchorTime } } };
}

type Schedule = MessageInitShape<typeof ScheduleSchema>;

/** Creates `count` jobs through the public API, with 8 calls in flight: a slow machine refuses more (TOO_MANY_CALLS). */
export async function createJobs(
  client: EasyCron,
  count: number,
  url: string,
  scheduleOf: (index: number) => Schedule,
): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await client.raw.jobs.createJob({
        job: {
          name: `bench-${index}`,
          schedules: [scheduleOf(index)],
          target: { kind: { case: "webhook", value: { url } } },
          payload: { kind: { case: "stringValue", value: "x".repeat(100) } },
        },
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

const TICKS_PER_SECOND = 100;

// Linux only. Adds up the user and system time of a process, its descendants, and its children that have ended.
function cpuOfTree(rootPid: number): number {
  const children = new Map<number, number[]>();
  const ticks = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [, parent, , , , , , , , , , user, system, waitedUser, waitedSystem] = fields.map(Number);
      ticks.set(pid, (user ?? 0) + (system ?? 0) + (waitedUser ?? 0) + (waitedSystem ?? 0));
      children.set(parent ?? 0, [...(children.get(parent ?? 0) ?? []), pid]);
    } catch {
      // The process has ended since the folder was read.
    }
  }
  let sum = 0;
  const queue = [rootPid];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    sum += ticks.get(pid) ?? 0;
    queue.push(...(children.get(pid) ?? []));
  }
  return (sum / TICKS_PER_SECOND) * 1e6;
}

/** Resolves at an instant in epoch milliseconds, or at once if it has passed. */
export async function at(ms: number): Promise<void> {
  const wait = ms - Date.now();
  if (wait > 0) await new Promise((done) => setTimeout(done, wait));
}
