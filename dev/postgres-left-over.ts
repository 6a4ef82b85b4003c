import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { commandOf, findProcesses, identityOf, signal } from "./processes.ts";
import { StartError } from "./start-error.ts";

// From gentle to hard: roll back and write a checkpoint; end without the checkpoint; be killed by the kernel.
const STEPS: readonly { signal: NodeJS.Signals; waitMs: number }[] = [
  { signal: "SIGINT", waitMs: 5_000 },
  { signal: "SIGQUIT", waitMs: 3_000 },
  { signal: "SIGKILL", waitMs: 3_000 },
];

/**
 * Stops the PostgreSQL that a killed supervisor left running: every process whose command line contains the cluster's
 * name. The caller holds the lock of the data directory, so no supervisor is left that would restart it. Throws a
 * StartError when a process does not end within 11 s.
 */
export async function stopLeftOver(folder: string, clusterName: string): Promise<void> {
  for (const step of STEPS) {
    const left = findProcesses(clusterName);
    if (left.length === 0) break;
    const postmaster = readPostmasterPid(folder);
    const targets = postmaster !== undefined && left.includes(postmaster) ? [postmaster] : left;
    for (const pid of targets) signal(pid, step.signal);
    await untilNone(clusterName, step.waitMs);
  }
  const left = findProcesses(clusterName);
  if (left.length > 0) {
    throw new StartError(
      `PostgreSQL on ${folder} is still running (process ${left[0]}) and did not end when asked; kill that process.`,
    );
  }
  removeStalePidFile(folder);
}

// This polls, because there is no event for the end of a process that is not a child of this one.
async function untilNone(clusterName: string, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (findProcesses(clusterName).length > 0 && performance.now() < untilMs) await pause(20);
}

/**
 * Removes postmaster.pid if another program has its pid now. PostgreSQL refuses to start while any process has that
 * pid, even a browser. If the process is a PostgreSQL, the file stays, and PostgreSQL refuses to start.
 */
function removeStalePidFile(folder: string): void {
  const pid = readPostmasterPid(folder);
  if (pid === undefined || identityOf(pid) === undefined || /postgres/.test(commandOf(pid))) return;
  rmSync(join(folder, "postmaster.pid"), { force: true });
}

function readPostmasterPid(folder: string): number | undefined {
  try {
    const [pid] = readFileSync(join(folder, "postmaster.pid"), "utf8").split("\n");
    return Number(pid) > 0 ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}
