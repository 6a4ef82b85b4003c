import { readFileSync } from "node:fs";

/**
 * File descriptors for everything but attempts in flight: connections of PostgreSQL and gRPC, and idle connections. At
 * most half of all are kept for that.
 */
const OTHER_FILES = 1_000;

/**
 * Returns how many attempts may be in flight, at most `wanted`, so that each finds a free file descriptor. Without one,
 * not only the attempt fails, but also calls and connections to PostgreSQL. `limits` is the text of /proc/self/limits;
 * without it (on other systems than Linux), the answer is `wanted`. Node raises the soft limit to the hard limit when it
 * starts.
 */
export function attemptsFor(wanted: number, limits: string | undefined): number {
  const files = openFiles(limits);
  return Math.max(1, Math.min(wanted, Math.max(files - OTHER_FILES, Math.floor(files / 2))));
}

/**
 * Returns how many idle connections may be kept while at most `attempts` are in flight: at most `wanted`, and at most
 * half of the file descriptors that the attempts leave. `limits` is the text of /proc/self/limits.
 */
export function idleConnectionsFor(wanted: number, attempts: number, limits: string | undefined): number {
  return Math.max(1, Math.min(wanted, Math.floor((openFiles(limits) - attempts) / 2)));
}

function openFiles(limits: string | undefined): number {
  return Number(/^Max open files +\d+ +(\d+)/m.exec(limits ?? "")?.[1] ?? Number.POSITIVE_INFINITY);
}

/** Reads the limits of this process; undefined where the system does not show them. */
export function readLimits(): string | undefined {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return undefined;
  }
}
