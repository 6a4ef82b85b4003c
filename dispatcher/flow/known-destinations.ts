import type { Events } from "../events/events.ts";
import { createDestination, type Destination } from "./destination.ts";

/** The destinations of which something is known, by project and origin. */
export interface KnownDestinations {
  readonly size: number;
  get(projectId: string, name: string): Destination | undefined;
  /** Makes a destination; undefined if its project, or all projects together, have as many as may be. */
  add(projectId: string, name: string, nowMs: number): Destination | undefined;
  remove(destination: Destination): void;
  values(): Iterable<Destination>;
}

/** Most destinations in all, and of one project: so the failing ones of a project leave room for those of others. */
export const MAX_KNOWN = 50_000;
export const MAX_OF_PROJECT = 2_000;

/** Makes an empty account. `onFull` is called when a destination is left out although its project has room. */
export function createKnownDestinations(onFull: () => void): KnownDestinations {
  const known = new Map<string, Destination>();
  const counts = new Map<string, number>();
  return {
    get size() {
      return known.size;
    },
    get: (projectId, name) => known.get(keyOf(projectId, name)),
    add: (projectId, name, nowMs) => {
      const count = counts.get(projectId) ?? 0;
      if (count >= MAX_OF_PROJECT) return undefined;
      if (known.size >= MAX_KNOWN) {
        onFull();
        return undefined;
      }
      const destination = createDestination(projectId, name, nowMs);
      known.set(keyOf(projectId, name), destination);
      counts.set(projectId, count + 1);
      return destination;
    },
    remove: ({ projectId, name }) => {
      if (!known.delete(keyOf(projectId, name))) return;
      const left = (counts.get(projectId) ?? 1) - 1;
      if (left === 0) counts.delete(projectId);
      else counts.set(projectId, left);
    },
    values: () => known.values(),
  };
}

function keyOf(projectId: string, name: string): string {
  return `${projectId} ${name}`;
}

const REPORT_EVERY_MS = 300_000;

/** Makes an `onFull` that reports at most every five minutes that nothing is learned of new destinations. */
export function createFullReport(events: Events, elapsedMs: () => number): () => void {
  let reportedMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (elapsedMs() < reportedMs + REPORT_EVERY_MS) return;
    reportedMs = elapsedMs();
    const error = new Error(
      `${MAX_KNOWN} destinations fail or are busy; new ones are tried without regard to that.`,
    );
    events.emit("trouble", { part: "destinations", error });
  };
}
