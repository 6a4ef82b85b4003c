import { setTimeout as pause } from "node:timers/promises";
import { findProcesses, signal } from "./processes.ts";
import { StartError } from "./start-error.ts";

const STEPS: readonly { signal: NodeJS.Signals; waitMs: number }[] = [
  { signal: "SIGTERM", waitMs: 5_000 },
  { signal: "SIGKILL", waitMs: 3_000 },
];

/**
 * Stops the server that a killed supervisor left running on a folder: every process whose command line contains
 * `marker`. The caller is the only user of the folder. Throws a StartError when a process does not end within 8 s.
 */
export async function stopLeftOverProcesses(server: string, folder: string, marker: string): Promise<void> {
  for (const step of STEPS) {
    for (const pid of findProcesses(marker)) signal(pid, step.signal);
    await untilNone(marker, step.waitMs);
  }
  const [left] = findProcesses(marker);
  if (left === undefined) return;
  throw new StartError(
    `${server} on ${folder} is still running (process ${left}) and did not end when asked; kill that process.`,
  );
}

// This polls, because there is no event for the end of a process that is not a child of this one.
async function untilNone(marker: string, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (findProcesses(marker).length > 0 && performance.now() < untilMs) await pause(20);
}
