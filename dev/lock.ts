import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityOf } from "./processes.ts";
import { StartError, systemCode } from "./start-error.ts";

/** The exclusive use of a data directory. */
export interface Lock {
  /** Releases the lock. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly identity: string;
}

/**
 * Takes the lock of a data directory. The lock is a file that names this process. The lock of a process that no
 * longer runs is ignored, even if another process now has its pid. Throws a StartError when another process holds the
 * lock.
 */
export function acquireLock(directory: string): Lock {
  const path = join(directory, "lock");
  const own = JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) ?? "" } satisfies Holder);
  const prepared = `${path}.${process.pid}`;
  writeFileSync(prepared, own, { mode: 0o600 });
  try {
    // Creating a link is atomic and fails if the path exists, so two processes cannot both create it.
    while (!tryLink(prepared, path)) removeStale(path, directory);
  } finally {
    rmSync(prepared, { force: true });
  }
  return {
    release: () => {
      if (read(path) === own) rmSync(path, { force: true });
    },
  };
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

function removeStale(path: string, directory: string): void {
  const text = read(path);
  if (text === undefined) return;
  throwIfHeld(text, directory);
  // The file is moved aside, not removed: meanwhile another process may have removed it and taken the lock.
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw error;
  }
  const moved = read(aside) ?? "";
  if (moved !== text) tryLink(aside, path);
  rmSync(aside, { force: true });
  if (moved !== text) throwIfHeld(moved, directory);
}

function throwIfHeld(text: string, directory: string): void {
  const holder = parse(text);
  if (holder === undefined || identityOf(holder.pid) !== holder.identity) return;
  throw new StartError(
    `${directory} is in use by another npm start (process ${holder.pid}). ` +
      "Stop that process, or set EASYCRON_DATA_DIR to another folder.",
  );
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, identity } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === "number" && typeof identity === "string" ? { pid, identity } : undefined;
  } catch {
    return undefined;
  }
}
