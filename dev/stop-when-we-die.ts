import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Starts a shell that stops the server when this process dies, even by SIGKILL: the shell waits for the end of a pipe
 * that this process holds open. Resolves when the shell has ended, which is soon after the server.
 */
export function stopWhenWeDie(child: ChildProcess): Promise<unknown> {
  if (child.pid === undefined) return Promise.resolve();
  const watcher = spawn("/bin/sh", ["-c", 'read -r _; kill -INT "$1"', "sh", String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.stdin.on("error", () => {});
  child.once("exit", () => watcher.kill("SIGKILL"));
  // If there is no shell, nothing stops the server, and the next start does.
  return once(watcher, "exit").catch(() => undefined);
}
