import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { acquireLock } from "./lock.ts";
import { identityOf } from "./processes.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "easycron-lock-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Starts a process that takes the lock and does nothing more; resolves when it holds the lock. */
async function holdLock() {
  const program = `
    import { acquireLock } from "${import.meta.dirname}/lock.ts";
    acquireLock(${JSON.stringify(directory)});
    console.log("held");
    setInterval(() => {}, 1e6);
  `;
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  return holder;
}

test("the lock is held by one process at a time, and its release leaves no file behind", () => {
  const lock = acquireLock(directory);
  expect(() => acquireLock(directory)).toThrow(
    `${directory} is in use by another npm start (process ${process.pid}). Stop that process, or set EASYCRON_DATA_DIR`,
  );
  lock.release();
  acquireLock(directory).release();
  expect(readdirSync(directory)).toEqual([]);
});

test("the lock of a process that was killed with -9 is ignored", async () => {
  const holder = await holdLock();
  expect(() => acquireLock(directory)).toThrow(`process ${holder.pid}`);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  acquireLock(directory).release();
});

test("the lock of a dead process is ignored when another process has its pid", () => {
  writeFileSync(join(directory, "lock"), JSON.stringify({ pid: process.pid, identity: "another boot:1:2" }));
  const lock = acquireLock(directory);
  expect(readFileSync(join(directory, "lock"), "utf8")).toContain(identityOf(process.pid));
  lock.release();
});

test.each(["", "{", "null", '{"pid":"1"}'])("a damaged lock file (%j) is ignored", (text) => {
  writeFileSync(join(directory, "lock"), text);
  acquireLock(directory).release();
});

test("one of many processes that start at once gets the lock of a dead process", async () => {
  writeFileSync(join(directory, "lock"), JSON.stringify({ pid: 1, identity: "stale" }));
  const program = `
    import { acquireLock } from "${import.meta.dirname}/lock.ts";
    process.once("message", () => {
      try {
        acquireLock(${JSON.stringify(directory)});
        process.send("held");
      } catch (error) {
        process.send(error.name);
      }
    });
    setInterval(() => {}, 1e6);
    process.send("there");
  `;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    }),
  );
  await Promise.all(children.map((child) => once(child, "message")));
  const answers = children.map((child) => once(child, "message"));
  for (const child of children) child.send("go");
  const said = (await Promise.all(answers)).map(([answer]) => answer as string);
  expect(said.sort()).toEqual(["StartError", "StartError", "StartError", "held"]);
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => once(child, "exit")));
});
