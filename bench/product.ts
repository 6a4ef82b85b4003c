import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SERVICES } from "../dev/config.ts";
import { readKeys } from "../dev/keys.ts";
import type { Manifest } from "../dev/manifest.ts";
import { EasyCron } from "../sdk/index.ts";
import { readProcesses } from "./process-usage.ts";

const root = resolve(import.meta.dirname, "..");

/** The parts of the product: its services, PostgreSQL, and the program that starts and watches them. */
export const PARTS = [...SERVICES, "postgres", "supervisor"] as const;

/** A figure of each part of the product. */
export type ByPart<T> = Readonly<Record<(typeof PARTS)[number], T>>;

/** The product as `npm start` runs it, without the demo, with its own data directory. */
export interface Product {
  readonly client: EasyCron;
  /** The gateway's URL. */
  readonly url: string;
  readonly apiKey: string;
  readonly operatorKey: string;
  /** The id of the client's project. */
  readonly project: string;
  /** Its data directory. */
  readonly data: string;
  /** The superuser's connection string to its database. */
  readonly databaseUrl: string;
  /** CPU time used so far by all its processes, PostgreSQL included, in microseconds. */
  cpuMicros(): number;
  /** CPU time used so far by each part, in microseconds. */
  cpuByPart(): ByPart<number>;
  /** Memory of each part, in bytes: the proportional set size. Null where it cannot be read. */
  memoryByPart(): ByPart<number | null>;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
  /** Stops it and keeps its data for `startProduct`. */
  halt(): Promise<void>;
}

/** Options of `startProduct`. */
export interface StartOptions {
  /** The data directory of a product that was halted. Default: a new one. */
  readonly data?: string;
  /** Variables of `npm start`, besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts the product, with further arguments of `npm start`, and waits until it is ready. */
export async function startProduct(
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<Product> {
  const { data = mkdtempSync(join(tmpdir(), "easycron-bench-")) } = options;
  const own = { EASYCRON_DEMO: "off", EASYCRON_PORT: "0", EASYCRON_DATA_DIR: data };
  const child = spawn(process.execPath, ["dev/main.ts", ...args], {
    cwd: root,
    env: { ...process.env, DATABASE_URL: undefined, REDIS_URL: undefined, ...options.env, ...own },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<void>((done) => child.once("exit", () => done()));
  await new Promise<void>((ready, fail) => {
    child.stdout.on("data", (text: Buffer) => /^ready /m.test(text.toString()) && ready());
    child.once("exit", (code) => fail(new Error(`The product ended with ${code} before it was ready.`)));
  });
  const manifest = JSON.parse(readFileSync(join(data, "dev.json"), "utf8")) as Manifest;
  const { url, apiKey, project } = manifest;
  const keys = readKeys(join(data, "keys.json"));
  const halt = async () => {
    // A second call only waits: kill does nothing to a process that has ended.
    child.kill("SIGTERM");
    await exited;
  };
  return {
    client: new EasyCron({ url, apiKey }),
    url,
    apiKey,
    operatorKey: keys?.operatorKey ?? "",
    project,
    data,
    databaseUrl: keys?.databaseUrl ?? "",
    ...usageOf(child.pid ?? 0, manifest.pids),
    stop: async () => {
      await halt();
      rmSync(data, { recursive: true, force: true });
    },
    halt,
  };
}

function usageOf(
  rootPid: number,
  pids: Manifest["pids"],
): Pick<Product, "cpuMicros" | "cpuByPart" | "memoryByPart"> {
  /** Applies a figure to each part. The supervisor's is what the others leave of the whole. */
  const byPart = <T>(
    figureOf: (pid: number) => T,
    sum: (...figures: T[]) => T,
    rest: (all: T, parts: T) => T,
  ) => {
    const figures = [...SERVICES, "postgres" as const].map((name): [string, T] => [
      name,
      sum(...(pids[name] ?? []).map(figureOf)),
    ]);
    const supervisor = rest(figureOf(rootPid), sum(...figures.map(([, figure]) => figure)));
    return Object.fromEntries([...figures, ["supervisor", supervisor]]) as ByPart<T>;
  };
  const add = (...all: number[]) => all.reduce((sum, one) => sum + one, 0);
  const addKnown = (...all: (number | null)[]) =>
    all.includes(null) ? null : add(...all.map((one) => one ?? 0));
  return {
    cpuMicros: () => readProcesses().cpuMicrosOf(rootPid),
    cpuByPart: () => byPart(readProcesses().cpuMicrosOf, add, (all, parts) => all - parts),
    memoryByPart: () =>
      byPart(readProcesses().memoryBytesOf, addKnown, (all, parts) =>
        all === null || parts === null ? null : Math.max(0, all - parts),
      ),
  };
}

/** Returns by how much each part's figure has grown. */
export function difference(before: ByPart<number>, after: ByPart<number>): ByPart<number> {
  return mapParts(after, (figure, part) => figure - before[part]);
}

/** Applies a function to the figure of each part. */
export function mapParts<A, B>(figures: ByPart<A>, to: (figure: A, part: keyof ByPart<A>) => B): ByPart<B> {
  return Object.fromEntries(PARTS.map((part) => [part, to(figures[part], part)])) as ByPart<B>;
}
