import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const hasProc = process.platform === "linux";

/**
 * Returns an identity of a running process: boot, pid and start time. A later process with the same pid has another
 * identity. Returns undefined when no process has the pid, or only a zombie.
 */
export function identityOf(pid: number): string | undefined {
  if (!hasProc) return identityFromPs(pid);
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  // The second field is the name in parentheses. The name may contain spaces and parentheses.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (stat === "" || state === "Z" || state === "X") return undefined;
  const startTicks = rest[18];
  return `${readOrEmpty("/proc/sys/kernel/random/boot_id").trim()}:${pid}:${startTicks}`;
}

function identityFromPs(pid: number): string | undefined {
  const [state, ...started] = runPs(["-o", "stat=,lstart=", "-p", String(pid)])
    .trim()
    .split(/\s+/);
  if (state === undefined || state === "" || state.startsWith("Z")) return undefined;
  return `${pid}:${started.join(" ")}`;
}

/** Returns the pids of all processes but this one whose command line contains a text. */
export function findProcesses(text: string): number[] {
  return listCommands()
    .filter(({ pid, command }) => pid !== process.pid && command.includes(text))
    .map(({ pid }) => pid);
}

/** Returns the command line of a process, or an empty text when there is no such process. */
export function commandOf(pid: number): string {
  if (hasProc) return toCommand(readOrEmpty(`/proc/${pid}/cmdline`));
  return runPs(["-o", "command=", "-p", String(pid)]).trim();
}

function listCommands(): { pid: number; command: string }[] {
  if (hasProc) {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map((pid) => ({ pid: Number(pid), command: commandOf(Number(pid)) }));
  }
  return runPs(["-axo", "pid=,command="])
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(.*)$/.exec(line))
    .map((match) => ({ pid: Number(match?.[1] ?? 0), command: match?.[2] ?? "" }));
}

function toCommand(cmdline: string): string {
  return cmdline.replaceAll("\0", " ").trim();
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended meanwhile.
    return "";
  }
}

function runPs(args: readonly string[]): string {
  try {
    return execFileSync("ps", [...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    // ps ends with 1 when it finds nothing.
    return "";
  }
}

/** Sends a signal. Returns false when there is no such process. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
