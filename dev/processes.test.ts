import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { commandOf, findProcesses, identityOf, signal } from "./processes.ts";

test("a process keeps its identity while it runs, and has none afterwards", async () => {
  const marker = `easycron-test-${process.pid}`;
  const child = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1e6)", marker]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  expect(identityOf(pid)).toBe(identityOf(pid));
  expect(identityOf(pid)).toContain(`${pid}:`);
  expect(identityOf(pid)).not.toBe(identityOf(process.pid));
  expect(findProcesses(marker)).toEqual([pid]);
  expect(commandOf(pid)).toContain(marker);
  expect(signal(pid, "SIGKILL")).toBe(true);
  await once(child, "exit");
  expect(identityOf(pid)).toBeUndefined();
  expect(findProcesses(marker)).toEqual([]);
  expect(signal(pid, "SIGTERM")).toBe(false);
});
