import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { printable } from "../mesh/printable.ts";

const MAX_BYTES = 10 * 1024 * 1024;

/**
 * A log on disk. A full log file (10 MiB) is kept as `<name>.1` until the next one is full, so it takes at most 20
 * MiB.
 */
export interface LogFile {
  /**
   * Appends one line. Never throws: the line is lost when it cannot be written, for example because the disk is full.
   */
  write(line: string): void;
  close(): void;
}

/** Opens a log file to append to it. */
export function openLogFile(path: string, maxBytes = MAX_BYTES): LogFile {
  let fd: number | undefined = openSync(path, "a", 0o600);
  let bytes = fstatSync(fd).size;
  const rotate = () => {
    if (fd !== undefined) closeSync(fd);
    renameSync(path, `${path}.1`);
    fd = openSync(path, "a", 0o600);
    bytes = 0;
  };
  return {
    write: (line) => {
      if (fd === undefined) return;
      try {
        if (bytes >= maxBytes) rotate();
        bytes += writeSync(fd, `${line}\n`);
      } catch {
        // A failure of the log must not end the process.
      }
    },
    close: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

const LEVELS: Readonly<Record<number, string>> = { 40: "warning", 50: "error", 60: "fatal" };

/**
 * Turns a service's log line into a short line for the user, such as `error: failed (ECONNREFUSED)`. Returns
 * undefined unless the line is a warning or an error.
 */
export function toNotice(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { level, msg, err } = JSON.parse(line) as {
      level?: number;
      msg?: unknown;
      err?: { message?: unknown };
    };
    const word = LEVELS[level ?? 0];
    if (word === undefined) return undefined;
    const cause = err?.message === undefined ? "" : ` (${String(err.message)})`;
    return `${word}: ${printable(`${String(msg)}${cause}`, 200)}`;
  } catch {
    return undefined;
  }
}
