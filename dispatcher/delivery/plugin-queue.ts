import type { Delivery } from "./outcome.ts";
import type { PluginMessage } from "./plugin-message.ts";

/** A message that waits to be sent, or for its outcome. */
export interface PendingMessage {
  readonly message: PluginMessage;
  /** Its encoded size, roughly. */
  readonly bytes: number;
  /** The attempt timeout, in milliseconds. */
  readonly timeoutMs: number;
  /** When the attempt reaches its time limit, on the clock of performance.now. */
  readonly expiresAtMs: number;
  /** Whether it is in a call. */
  isSent: boolean;
  /** Ends the attempt. */
  readonly settle: (delivery: Delivery) => void;
}

/** Most messages of one call. */
const MAX_BATCH = 500;
/** A call gets no further message when it has so many bytes. gRPC allows 16 MiB. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** The messages of one project to one plugin that wait to be sent. */
export interface PluginQueue {
  push(pending: PendingMessage): void;
  /**
   * Removes and returns the messages of the next call, the oldest first; none when none waits. Messages whose time limit
   * is over are removed and left out.
   */
  takeBatch(nowMs: number): PendingMessage[];
  /** Removes a message that waits. */
  remove(pending: PendingMessage): void;
}

/**
 * Makes an empty queue. Only messages with the same attempt timeout share a call, so that none is given up because
 * another one has less time. The groups take turns.
 */
export function createPluginQueue(): PluginQueue {
  const groups = new Map<number, Set<PendingMessage>>();
  return {
    push: (pending) => {
      const group = groups.get(pending.timeoutMs);
      if (group === undefined) groups.set(pending.timeoutMs, new Set([pending]));
      else group.add(pending);
    },
    takeBatch: (nowMs) => {
      for (const [timeoutMs, group] of groups) {
        const batch = takeFrom(group, nowMs);
        groups.delete(timeoutMs);
        if (group.size > 0) groups.set(timeoutMs, group);
        if (batch.length > 0) return batch;
      }
      return [];
    },
    remove: (pending) => {
      const group = groups.get(pending.timeoutMs);
      group?.delete(pending);
      if (group?.size === 0) groups.delete(pending.timeoutMs);
    },
  };
}

function takeFrom(group: Set<PendingMessage>, nowMs: number): PendingMessage[] {
  const batch: PendingMessage[] = [];
  let bytes = 0;
  for (const pending of group) {
    if (batch.length === MAX_BATCH || bytes >= MAX_BATCH_BYTES) break;
    group.delete(pending);
    if (pending.expiresAtMs <= nowMs) continue;
    batch.push(pending);
    bytes += pending.bytes;
  }
  return batch;
}
