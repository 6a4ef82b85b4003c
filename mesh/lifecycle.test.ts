import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const MESH = new URL("./", import.meta.url).href;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "easycron-lifecycle-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a service whose `build` has this body, as a process of its own. */
async function run(body: string, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  // JavaScript, because Node would load its TypeScript compiler for each of these files.
  const file = join(folder, `${Math.random()}.mjs`);
  await writeFile(
    file,
    `import { runService } from "${MESH}lifecycle.ts";
     import { ConfigError } from "${MESH}config.ts";
     const up = (close) => { const alive = setInterval(() => {}, 1_000); return { port: 7, close: close ?? (async () => clearInterval(alive)) }; };
     await runService("probe", async (env) => { ${body} });`,
  );
  return fork(file, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  const [stderr, [code]] = await Promise.all([child.stderr ? text(child.stderr) : "", once(child, "exit")]);
  return { code: code as number | null, stderr };
}

const ready = async (child: ChildProcess) => (await once(child, "message"))[0] as unknown;

describe("a service", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "says that it is ready, and closes with code 0 at %s",
    async (signal) => {
      const child = await run("return up();");
      expect(await ready(child)).toEqual({ ready: true, port: 7 });
      child.kill(signal);
      expect(await ended(child)).toEqual({ code: 0, stderr: "" });
    },
  );

  test("that cannot start says why in one line, with code 1", async () => {
    const child = await run(
      'throw Object.assign(new Error("Cannot listen\\non 1."), { code: "EADDRINUSE" });',
    );
    expect(await ended(child)).toEqual({ code: 1, stderr: "probe: Cannot listen\\u000aon 1.\n" });
  });

  test("with a bad configuration ends with code 2", async () => {
    const child = await run('throw new ConfigError(["A is 1.", "B is 2."]);');
    expect(await ended(child)).toEqual({ code: 2, stderr: "probe: A is 1. B is 2.\n" });
  });

  test.each(["throw new Error('lost')", "Promise.reject(new Error('lost'))"])(
    "that meets the uncaught %s ends with code 1",
    async (fault) => {
      const child = await run(`setTimeout(() => { ${fault} }, 50); return up();`);
      const { code, stderr } = await ended(child);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^probe: lost \(at .*\)\n$/);
    },
  );

  test("whose closing fails ends with code 1", async () => {
    const child = await run(
      'return up(async () => { throw Object.assign(new Error("stuck"), { code: "X" }); });',
    );
    await ready(child);
    child.kill("SIGTERM");
    expect(await ended(child)).toEqual({ code: 1, stderr: "probe: stuck\n" });
  });

  test("that gets a second signal is told to hurry", async () => {
    const child = await run(
      `const { port } = up();
       return { port, close: (hurry) => new Promise((done) => {
         hurry.addEventListener("abort", () => done());
         process.send("closing");
       }) };`,
    );
    await ready(child);
    const closing = ready(child);
    child.kill("SIGTERM");
    await closing;
    child.kill("SIGTERM");
    expect(await ended(child)).toEqual({ code: 0, stderr: "" });
  });

  test("whose closing takes longer than its own limit ends with code 1", async () => {
    const child = await run("return { ...up(() => new Promise(() => {})), closeLimitMs: 50 };");
    await ready(child);
    child.kill("SIGTERM");
    const { code, stderr } = await ended(child);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^probe: Closing took more than 50 ms\./);
  });

  test("told to stop while it starts closes when it has started", async () => {
    const child = await run(
      'process.send("starting"); await new Promise((r) => setTimeout(r, 300)); return up();',
    );
    await ready(child);
    child.kill("SIGTERM");
    expect(await ended(child)).toEqual({ code: 0, stderr: "" });
  });

  test("closes when the process that watches over it is gone", async () => {
    const child = await run("return up();", { EASYCRON_PARENT_WATCH: "1" });
    await ready(child);
    child.disconnect();
    expect(await ended(child)).toEqual({ code: 0, stderr: "" });
  });
});
