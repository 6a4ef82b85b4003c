import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { printable } from "../mesh/printable.ts";

const MAX_BYTES = 10 * 1024 * 1024;

/** A log on disk: at most twice 10 MiB, as the full one is kept beside it under the name `….1` until the next is. */
export interface LogFile {
  /** Adds one line. A disk that is full loses it; nothing else does. */
  write(line: string): void;
  close(): void;
}

/** Opens a log to add to it. */
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
        // A log must not end what it tells of.
      }
    },
    close: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

const LEVELS: Readonly<Record<number, string>> = { 40: "warning", 50: "error", 60: "fatal" };

/** What of a service's log line people should see at once: warnings and errors, in one short line. */
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
