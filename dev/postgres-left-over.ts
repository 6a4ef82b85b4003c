import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { commandOf, findProcesses, identityOf, signal } from "./processes.ts";
import { StartError } from "./start-error.ts";

// PostgreSQL's three ways down: rolling back and writing a checkpoint; without the checkpoint; by the kernel.
const ASKS: readonly { signal: NodeJS.Signals; waitMs: number }[] = [
  { signal: "SIGINT", waitMs: 5_000 },
  { signal: "SIGQUIT", waitMs: 3_000 },
  { signal: "SIGKILL", waitMs: 3_000 },
];

/**
 * Stops the PostgreSQL of a supervisor that was killed: all processes whose command line bears the cluster's name.
 * Whoever calls this holds the data directory's lock, so there is no supervisor left to start it again.
 */
export async function stopLeftOver(folder: string, clusterName: string): Promise<void> {
  for (const ask of ASKS) {
    const left = findProcesses(clusterName);
    if (left.length === 0) break;
    const postmaster = readPostmasterPid(folder);
    const asked = postmaster !== undefined && left.includes(postmaster) ? [postmaster] : left;
    for (const pid of asked) signal(pid, ask.signal);
    await untilNone(clusterName, ask.waitMs);
  }
  const left = findProcesses(clusterName);
  if (left.length > 0) {
    throw new StartError(
      `PostgreSQL on ${folder} is still running (process ${left[0]}) and does not end; end it.`,
    );
  }
  removeStalePidFile(folder);
}

// There is no event for the end of a process that is not one's child.
async function untilNone(clusterName: string, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (findProcesses(clusterName).length > 0 && performance.now() < untilMs) await pause(20);
}

/**
 * PostgreSQL takes any live process with the pid in its file, which may be a browser by now, for itself and refuses
 * to start. A process that is a PostgreSQL indeed is somebody's; it is left alone, and PostgreSQL's refusal stands.
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
