import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** Prints which of the brokers' clients the program has loaded. */
const HOOKS = `
  import { registerHooks } from "node:module";
  const clients = new Set();
  registerHooks({
    resolve: (name, context, next) => {
      if (["ioredis", "kafkajs", "@platformatic/kafka"].includes(name)) clients.add(name);
      return next(name, context);
    },
  });
  process.on("exit", () => console.log("clients:" + [...clients].join()));
`;

test("npm start loads no client of a broker before a broker has been started", async () => {
  const hooks = `data:text/javascript,${encodeURIComponent(HOOKS)}`;
  const started = promisify(execFile)(process.execPath, ["--import", hooks, "dev/main.ts"], {
    cwd: root,
    // It loads everything, and ends at this wrong variable.
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, EASYCRON_PORT: "x" },
  });
  await expect(started).rejects.toMatchObject({
    code: 2,
    stdout: expect.stringMatching(/^clients:$/m),
    stderr: expect.stringContaining("EASYCRON_PORT"),
  });
});
