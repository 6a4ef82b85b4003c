import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";

/**
 * Runs the Connect conformance suite against the gateway's listener and port, and ends with code 1 unless every case
 * passes. The suite is a Go program. It is built once and kept in `--cache`, by default in node_modules/.cache. Where
 * it cannot be built, one line says so. That fails too, except with `--optional`.
 */
const MODULE = "connectrpc.com/conformance";
const VERSION = "v1.0.7";
/** How many cases config.yaml selects. A change of it must not leave any out in silence. */
const CASES = 1_900;
const LOOKUP_LIMIT_MS = 60_000;
const BUILD_LIMIT_MS = 900_000;
/** With `--optional`, a run that must end soon does without the suite. */
const OPTIONAL_BUILD_LIMIT_MS = 240_000;
/** The suite takes about 15 s. A case that hangs would never end by itself. */
const RUN_LIMIT_MS = 300_000;

interface Go {
  readonly path: string;
  readonly version: string;
}

const { optional, cache } = parseArgs({
  options: {
    optional: { type: "boolean", default: false },
    cache: { type: "string", default: join(import.meta.dirname, "../../node_modules/.cache/conformance") },
  },
}).values;
const folder = join(cache, VERSION);
const program = join(folder, "connectconformance");

const say = (line: string) => console.log(`conformance: ${line}`);

/** Finds the program go: on PATH, or in the folder into which Go installs itself. */
async function findGo(): Promise<Go | undefined> {
  for (const path of ["go", join(process.env.GOROOT ?? "/usr/local/go", "bin/go")]) {
    const version = await outputOf(path, ["env", "GOVERSION"]);
    if ("output" in version) return { path, version: version.output };
  }
  return undefined;
}

/** Builds the suite unless it is there. Returns why it cannot be built. */
async function build(): Promise<string | undefined> {
  if (existsSync(program)) return undefined;
  const go = await findGo();
  if (go === undefined) return "Go is not installed; install Go 1.25 or newer to run it.";
  const found = await outputOf(go.path, ["list", "-m", `${MODULE}@${VERSION}`]);
  if ("problem" in found) return `Go does not find ${MODULE} ${VERSION}: ${found.problem}`;
  say(
    `building the suite ${VERSION} with ${go.version}. What is not in Go's own cache yet is downloaded through its`,
  );
  say("module proxy (GOPROXY): 240 MB the first time, which takes some minutes.");
  const building = spawn(go.path, ["install", `${MODULE}/cmd/connectconformance@${VERSION}`], {
    env: { ...process.env, GOBIN: folder },
    stdio: ["ignore", "inherit", "inherit"],
    timeout: optional ? OPTIONAL_BUILD_LIMIT_MS : BUILD_LIMIT_MS,
  });
  return (await endOf(building)) === 0
    ? undefined
    : "Go could not build it in time; the lines above say more.";
}

/** Runs the suite and returns the lines that it printed. */
async function run(): Promise<string[]> {
  const config = ["--conf", join(import.meta.dirname, "config.yaml"), "-p", "4", "--max-servers", "1"];
  const server = [process.execPath, join(import.meta.dirname, "server.ts")];
  const running = spawn(program, ["--mode", "server", ...config, "--", ...server], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: RUN_LIMIT_MS,
  });
  let output = "";
  for (const stream of [running.stdout, running.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  await endOf(running);
  return output.split("\n");
}

async function outputOf(path: string, args: string[]): Promise<{ output: string } | { problem: string }> {
  try {
    const { stdout } = await promisify(execFile)(path, args, { timeout: LOOKUP_LIMIT_MS });
    return { output: stdout.trim() };
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    return { problem: said || `no answer from ${path}` };
  }
}

function endOf(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
  });
}

const problem = await build();
if (problem === undefined) {
  const lines = await run();
  const result = lines.findLast((line) => / passed, \d+ failed$/.test(line)) ?? "the suite did not end";
  const hasPassed = result === `${CASES} passed, 0 failed`;
  if (!hasPassed) console.log(lines.join("\n"));
  say(`${result}; wanted: ${CASES} passed, 0 failed.`);
  process.exitCode = hasPassed ? 0 : 1;
} else {
  say(`the Connect conformance suite was NOT RUN. ${problem}`);
  process.exitCode = optional ? 0 : 1;
}
