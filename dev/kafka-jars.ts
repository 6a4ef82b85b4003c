import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { StartError, systemCode } from "./start-error.ts";

const POM = join(import.meta.dirname, "kafka/pom.xml");

const MIN_JAVA = 17;
const FETCH_TIMEOUT_MS = 300_000;

const INSTALL =
  'Install both with "apt-get install openjdk-17-jre-headless maven" on Debian, or with ' +
  '"brew install openjdk@17 maven && export PATH=$(brew --prefix openjdk@17)/bin:$PATH" on macOS.';

/** Returns why a local Kafka cannot be had on this machine, with the command that installs it; undefined if it can. */
export function whyNoKafka(jarsFolder: string): string | undefined {
  const version = javaVersion();
  if (version === undefined)
    return `Kafka needs Java ${MIN_JAVA} or newer, and java is not on PATH. ${INSTALL}`;
  if (version < MIN_JAVA) {
    return `Kafka needs Java ${MIN_JAVA} or newer, and the java on PATH is version ${version}. ${INSTALL}`;
  }
  if (matchesPom(jarsFolder) || spawnSync("mvn", ["-v"], { stdio: "ignore" }).status === 0) return undefined;
  return `Kafka's jars are fetched by Maven, and mvn is not on PATH. ${INSTALL}`;
}

// Before Java 9 the version was written as 1.8.0.
function javaVersion(): number | undefined {
  const { status, stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const version = /version "(?:1\.)?(\d+)/.exec(stderr)?.[1];
  return version === undefined ? undefined : Number(version);
}

/**
 * Makes sure that a folder has the jars of Kafka as `dev/kafka/pom.xml` pins them, and returns Java's class path. It
 * runs Maven only when the folder has other jars or none: then it fetches about 45 MB. Throws a StartError with exit
 * code 2 when Java 17 or Maven is missing, and with exit code 1 when the jars cannot be fetched within 300 s.
 */
export async function ensureJars(jarsFolder: string, signal?: AbortSignal): Promise<string> {
  const problem = whyNoKafka(jarsFolder);
  if (problem !== undefined) throw new StartError(problem, { exitCode: 2 });
  if (!matchesPom(jarsFolder)) await fetchJars(jarsFolder, signal);
  return join(jarsFolder, "*");
}

function matchesPom(jarsFolder: string): boolean {
  try {
    return readFileSync(join(jarsFolder, "pom.xml"), "utf8") === readFileSync(POM, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function fetchJars(jarsFolder: string, signal: AbortSignal | undefined): Promise<void> {
  mkdirSync(dirname(jarsFolder), { recursive: true });
  // The folder gets its name when it is complete, so that a killed run leaves no folder that looks complete.
  const making = mkdtempSync(`${jarsFolder}-`);
  try {
    await runMaven(making, signal);
    copyFileSync(POM, join(making, "pom.xml"));
    // Another run may have made it meanwhile. Its jars may be in use already, so they stay.
    if (moveTo(jarsFolder, making) || matchesPom(jarsFolder)) return;
    rmSync(jarsFolder, { recursive: true, force: true });
    renameSync(making, jarsFolder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Gives a folder another name. Returns false if there is a folder of that name that is not empty. */
function moveTo(name: string, folder: string): boolean {
  try {
    renameSync(folder, name);
    return true;
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "")) return false;
    throw error;
  }
}

async function runMaven(folder: string, signal: AbortSignal | undefined): Promise<void> {
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  // All that it writes is kept from the terminal: even with -q it writes escapes for colours.
  const maven = spawn("mvn", ["-B", "-q", "-f", POM, ...goal], {
    stdio: ["ignore", "pipe", "pipe"],
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  let output = "";
  for (const stream of [maven.stdout, maven.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(0, 10_000);
    });
  }
  const [code] = await once(maven, "close").catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new StartError(`Maven did not fetch Kafka's jars within ${FETCH_TIMEOUT_MS / 1_000} s. ${RETRY}`, {
      cause,
    });
  });
  if (code === 0) return;
  throw new StartError(`Maven could not fetch Kafka's jars: ${toReason(output, code)} ${RETRY}`);
}

/** Returns the first error of Maven's output, or its first line: without a working Java, a shell script writes it. */
function toReason(output: string, code: unknown): string {
  const lines = stripVTControlCharacters(output)
    .split("\n")
    .map((line) => line.trim());
  const error = lines.find((line) => line.startsWith("[ERROR] "))?.slice("[ERROR] ".length);
  return error ?? lines.find((line) => line !== "") ?? `it ended with code ${code}.`;
}

const RETRY = "Check that Maven Central can be reached, and start again.";
