import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { hasKafka, joinKafka } from "../support/kafka.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../support/redis.ts";
import { snippetsOf } from "../support/snippets.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
// They need packages of PyPI. Each was run by hand as printed, with redis 8.1.0 and confluent-kafka 2.16.1.
const RUN_BY_HAND = ["connect.py", "connect_kafka.py"];

const isThere = hasRedis() && (await hasKafka());
let redis: TestRedis;
let mesh: Mesh;
let folder: string;

/** Makes a folder in which programs find the SDK, as it would be installed, and the clients of the brokers. */
async function makeFolder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "easycron-plugins-docs-"));
  const modules = join(made, "node_modules");
  const sdk = join(modules, "@easycron/sdk");
  await mkdir(sdk, { recursive: true });
  // Node runs the sources, because they lie outside node_modules. This saves a build.
  await symlink(join(root, "sdk"), join(sdk, "sources"));
  const { exports } = JSON.parse(await readFile(join(root, "sdk/package.json"), "utf8")) as {
    exports: object;
  };
  const names = Object.keys(exports).filter((name) => name !== "./package.json");
  const files = names.map((name) => [name, `./sources/${name === "." ? "index" : name.slice(2)}.ts`]);
  await writeFile(join(sdk, "package.json"), JSON.stringify({ exports: Object.fromEntries(files) }));
  for (const name of ["ioredis", "kafkajs"]) {
    await symlink(join(root, "node_modules", name), join(modules, name));
  }
  return made;
}

/** Saves the programs of a page, runs its shell commands, and returns the variables that they set. */
async function follow(page: string): Promise<{ files: string[]; env: Record<string, string> }> {
  const snippets = snippetsOf(join(root, "docs", page));
  const files = snippets.flatMap(({ file }) => file ?? []);
  for (const { file, text } of snippets) if (file !== undefined) await writeFile(join(folder, file), text);
  const shell = snippets.filter(({ language }) => language === "sh").map(({ text }) => text);
  const { stdout } = await run("sh", ["-ec", `${shell.join("\n")}\necho\nenv`], {
    cwd: folder,
    env: variables(),
  });
  expect(stdout).toContain('"state":"PLUGIN_STATE_ENABLED"');
  const set = [...stdout.matchAll(/^(PLUGIN_\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]);
  return { files, env: { ...variables(), ...Object.fromEntries(set) } };
}

function variables(): Record<string, string> {
  const { url, apiKey, signingSecret } = mesh;
  return {
    PATH: process.env.PATH ?? "",
    EASYCRON_URL: url,
    EASYCRON_API_KEY: apiKey,
    EASYCRON_SIGNING_SECRET: signingSecret,
  };
}

/** Runs a program to its end. Returns what it has printed. */
async function runProgram(file: string, env: Record<string, string>): Promise<string> {
  const { stdout } = await run(process.execPath, [file], { cwd: folder, env });
  return stdout;
}

/** Runs a program until it has printed all of these. Then it must end by SIGTERM with code 0. */
async function runUntil(
  file: string,
  env: Record<string, string>,
  patterns: readonly RegExp[],
): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [file], { cwd: folder, env });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  const exited = once(child, "close");
  const seen = new Promise<void>((found) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (text: Buffer) => {
        output += text;
        if (patterns.every((pattern) => pattern.test(output))) found();
      });
    }
  });
  const early = exited.then(() => {
    throw new Error(`${file} ended early:\n${output}`);
  });
  await Promise.race([seen, early]);
  early.catch(() => {});
  child.kill("SIGTERM");
  expect([file, ...(await exited)]).toEqual([file, 0, null]);
}

describe.runIf(isThere)("the programs of the pages about plugins", () => {
  beforeAll(async () => {
    redis = await startTestRedis();
    const { brokers, username, password } = await joinKafka();
    const env = {
      EASYCRON_PLUGINS_REDIS_URL: redis.url,
      EASYCRON_PLUGINS_KAFKA_BROKERS: brokers,
      EASYCRON_PLUGINS_KAFKA_USERNAME: username,
      EASYCRON_PLUGINS_KAFKA_PASSWORD: password,
    };
    mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData, env });
    folder = await makeFolder();
  });
  afterAll(async () => {
    await mesh?.stop();
    await redis?.stop();
    await rm(folder, { recursive: true });
  });

  test("docs/redis.md do what it says", async () => {
    const { files, env } = await follow("redis.md");
    const programs = ["connect", "redis-jobs", "consume-orders", "others", "uses"].map(
      (name) => `${name}.mjs`,
    );
    expect(files.toSorted()).toEqual(["enable-redis.mjs", "connect.py", ...programs].toSorted());
    expect(await runProgram("connect.mjs", env)).toBe("good morning\n");
    await runProgram("redis-jobs.mjs", env);
    await runUntil("consume-orders.mjs", env, [/^orders for shop 7: trg_\w+$/m]);
    expect(await runProgram("others.mjs", env)).toMatch(
      /^the next task: tasks\nthe latest report: \S+Z\nan alert: MANUAL\n$/,
    );
    expect(await runProgram("uses.mjs", env)).toBe(
      [
        "goes on after 4711",
        "imports today: 1",
        "allowed: [ true, true, false ]",
        "nobody else imports now",
        "sends to: customer 42",
        "",
      ].join("\n"),
    );
  });

  test("docs/kafka.md do what it says", async () => {
    const { files, env } = await follow("kafka.md");
    const consumers = ["consume-topic", "work-off", "fan-out", "replay"].map((name) => `${name}.mjs`);
    const others = ["enable-kafka.mjs", "plugin-kafka.mjs", "connect_kafka.py", "kafka-jobs.mjs"];
    expect(files.toSorted()).toEqual([...others, ...consumers].toSorted());
    await runProgram("kafka-jobs.mjs", env);
    const fans = ["invoices", "search"].flatMap((name) =>
      ["paris", "tokyo"].map((city) => new RegExp(`^${name} has heard of ${city}$`, "m")),
    );
    // Each has groups of its own, so they run at once.
    await Promise.all([
      runUntil("consume-topic.mjs", env, [/^paris at \d\/\d: trg_\w+$/m, /^tokyo at \d\/\d: trg_\w+$/m]),
      runUntil("work-off.mjs", env, [
        /^a report on paris$/m,
        /^a report on tokyo$/m,
        /^partition \d: 0 trig/m,
      ]),
      runUntil("fan-out.mjs", env, fans),
      runUntil("replay.mjs", env, [/^again paris of \S+Z$/m, /^again tokyo of \S+Z$/m]),
    ]);
  });

  test("are all run here, except those in Python", () => {
    const files = ["redis.md", "kafka.md"].flatMap((page) => snippetsOf(join(root, "docs", page)));
    const inPython = files.flatMap(({ file }) => (file?.endsWith(".py") ? [file] : []));
    expect(inPython).toEqual(RUN_BY_HAND);
  });
});
