import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JARS } from "../test/support/kafka.ts";
import { ensureJars, whyNoKafka } from "./kafka-jars.ts";
import { startKafkaServer } from "./kafka-server.ts";
import { StartError } from "./start-error.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "easycron-kafka-test-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function fake(program: string, script: string): void {
  const path = join(folder, program);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

test.each([
  ["java is missing", undefined, "Kafka needs Java 17 or newer, and java is not on PATH."],
  ["java is old", 'version "11.0.2"', "Kafka needs Java 17 or newer, and the java on PATH is version 11."],
  [
    "java is very old",
    'version "1.8.0_292"',
    "Kafka needs Java 17 or newer, and the java on PATH is version 8.",
  ],
  ["Maven is missing", 'version "21.0.1"', "Kafka's jars are fetched by Maven, and mvn is not on PATH."],
])("where %s, one line says so and how to install it", async (_, version, problem) => {
  vi.stubEnv("PATH", folder);
  if (version !== undefined) fake("java", `echo 'openjdk ${version}' >&2`);
  const error = await ensureJars(join(folder, "jars")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StartError);
  const { message, exitCode } = error as StartError;
  expect(message).toContain(problem);
  expect(message).toMatch(/apt-get install .*\bmaven\b.* on Debian, or with "brew install .*" on macOS\.$/);
  expect(message).not.toContain("\n");
  expect(exitCode).toBe(2);
});

test.each([
  ["an error among its lines", "printf '\\033[0m[ERROR] no network\\n[ERROR] Help\\n'", "no network"],
  ["a line of its script", "echo 'JAVA_HOME is wrong,' >&2", "JAVA_HOME is wrong,"],
  ["nothing", ":", "it ended with code 1."],
])(
  "Maven that fails with %s writes nothing to the terminal, and the error says why",
  async (_, words, reason) => {
    vi.stubEnv("PATH", `${folder}:/bin`);
    fake("java", `echo 'openjdk version "21.0.1"' >&2`);
    fake("mvn", `[ "$1" = -v ] && exit 0; ${words}; exit 1`);
    const url = join(import.meta.dirname, "kafka-jars.ts");
    const code = `import { ensureJars } from ${JSON.stringify(url)};
    await ensureJars(${JSON.stringify(join(folder, "jars"))}).catch(({ message }) => console.log(message));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe(
      `Maven could not fetch Kafka's jars: ${reason} Check that Maven Central can be reached, and start again.`,
    );
  },
);

test("of two runs that fetch the jars at the same time, the second leaves the folder of the first in place", async () => {
  const jars = join(folder, "jars");
  vi.stubEnv("PATH", `${folder}:/bin:/usr/bin`);
  fake("java", `echo 'openjdk version "21.0.1"' >&2`);
  // The first one goes on at once, the other one when the first one's folder is there.
  const waits = `mkdir "${folder}/first" 2>/dev/null || until [ -f "${jars}/pom.xml" ]; do sleep 0.02; done`;
  fake("mvn", `[ "$1" = -v ] && exit 0; ${waits}`);
  const inodes = await Promise.all([1, 2].map(() => ensureJars(jars).then(() => statSync(jars).ino)));
  expect(inodes[0]).toBe(inodes[1]);
  expect(readdirSync(folder).sort()).toEqual(["first", "jars", "java", "mvn"]);
});

test("jars of another version are replaced", async () => {
  const jars = join(folder, "jars");
  vi.stubEnv("PATH", `${folder}:/bin:/usr/bin`);
  fake("java", `echo 'openjdk version "21.0.1"' >&2`);
  fake("mvn", "exit 0");
  mkdirSync(jars);
  writeFileSync(join(jars, "pom.xml"), "<project/>");
  writeFileSync(join(jars, "old.jar"), "");
  await ensureJars(jars);
  expect(readdirSync(jars)).toEqual(["pom.xml"]);
});

describe.skipIf(whyNoKafka(JARS) !== undefined)("a local Kafka", () => {
  test("can be started again on its folder, but not with another password", async () => {
    const options = { folder: join(folder, "kafka"), jarsFolder: JARS, adminPassword: "first-password" };
    const server = await startKafkaServer(options);
    expect(server.pid).toBeGreaterThan(0);
    await server.stop();
    expect(server.pid).toBeUndefined();
    const again = startKafkaServer({ ...options, adminPassword: "other-password" });
    await expect(again).rejects.toThrow(/cannot start on .*use the password of the folder's first start/);
  }, 60_000);

  test("whose password has other characters than letters, digits, _ and - is not started", async () => {
    const options = { folder, jarsFolder: JARS, adminPassword: 'a"; secret' };
    await expect(startKafkaServer(options)).rejects.toThrow(/must have 8 to 128 letters/);
  });
});
