import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityOf } from "./processes.ts";
import { StartError, systemCode } from "./start-error.ts";

/** Exclusive use of a data directory. */
export interface Lock {
  /** Gives it back. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly identity: string;
}

/**
 * Takes the lock of a data directory: a file that names the process. The file of a process that is gone, however it
 * ended, counts for nothing, also when its pid has been given to another one. Throws a StartError when it is taken.
 */
export function acquireLock(directory: string): Lock {
  const path = join(directory, "lock");
  const own = JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) ?? "" } satisfies Holder);
  const prepared = `${path}.${process.pid}`;
  writeFileSync(prepared, own, { mode: 0o600 });
  try {
    // A link appears whole and only if there is none: two processes cannot both make it.
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
  // Moved aside rather than removed: another process may have come first and taken the lock meanwhile.
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
      "Stop that one, or set EASYCRON_DATA_DIR to another folder.",
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
