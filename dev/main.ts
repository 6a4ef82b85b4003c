import { ConfigError } from "../mesh/config.ts";
import { readConfig } from "./config.ts";
import { type Product, startProduct } from "./product.ts";
import { StartError, systemCode } from "./start-error.ts";

const aborting = new AbortController();
const starting = run();
let stopping = false;
const WATCH_MS = 250;

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
process.on("uncaughtException", (error) => void fail(error));
// The reader of the output may go away. Without a listener the error would end the process.
process.stdout.on("error", () => {});

watchNpm();

try {
  await starting;
} catch (error) {
  if (!stopping) await fail(error);
}

async function run(): Promise<Product> {
  const config = readConfig(process.env, process.argv.slice(2));
  return startProduct({ config, print: (line) => console.log(line), signal: aborting.signal });
}

/** Stops once, however many signals arrive: a terminal sends a signal to npm and to this process. */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  aborting.abort(new Error("stopped"));
  await (await starting.catch(() => undefined))?.stop();
  process.exit(0);
}

/**
 * Stops when the parent process ends: a shell between npm and this process dies of npm's SIGTERM without passing it
 * on.
 */
function watchNpm(): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) void stop();
  }, WATCH_MS);
  timer.unref();
}

async function fail(error: unknown): Promise<void> {
  stopping = true;
  process.stderr.write(`easycron: ${describe(error)}\n`);
  aborting.abort(error);
  await (await starting.catch(() => undefined))?.stop();
  process.exit(error instanceof ConfigError ? 2 : error instanceof StartError ? error.exitCode : 1);
}

/** Returns one line that describes an error; an unexpected error includes the place in the code that threw it. */
function describe(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const place = systemCode(error) === undefined ? ` (${error.stack?.split("\n")[1]?.trim()})` : "";
  return `${error.message.replaceAll("\n", " ")}${place}`;
}
