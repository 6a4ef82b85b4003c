import { EventEmitter } from "node:events";
import type { Outcome } from "../delivery/outcome.ts";

/** An attempt that has ended and is not yet recorded. */
export interface AttemptEvent {
  readonly triggerId: string;
  readonly number: number;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** The error behind the outcome, if any; for logs only. */
  readonly cause: unknown;
}

/**
 * The events that a dispatcher emits. Logs and tests listen to them.
 *
 * | event | when |
 * | --- | --- |
 * | accepted | a batch of trigger events is durable: how many were recorded, and how many of them are held |
 * | claimed | a claim was answered: how many attempts will start, and how many triggers are no longer wanted |
 * | attempt | an attempt has ended |
 * | recorded | results are durable: the ids of their triggers |
 * | taken | triggers without an owner were taken: how many |
 * | released | triggers of an instance were released: how many, and of which instance |
 * | leased | a lease was taken under a new instance id |
 * | leaseLost | the lease expired before it was renewed |
 * | trouble | a part of the dispatcher failed and tries again; repeated while it fails, with the failures since |
 * | recovered | a part works again: after how many failures |
 * | lagging | the oldest result has waited for more than a second: for how long, and how many wait |
 * | idle | nothing is due, in flight or waiting to be recorded |
 */
export interface DispatcherEvents {
  accepted: [{ readonly recorded: number; readonly held: number }];
  claimed: [{ readonly started: number; readonly refused: number }];
  attempt: [AttemptEvent];
  recorded: [{ readonly triggerIds: readonly string[] }];
  taken: [{ readonly count: number }];
  released: [{ readonly instance: string; readonly count: number }];
  leased: [{ readonly instance: string }];
  leaseLost: [{ readonly instance: string }];
  trouble: [{ readonly part: string; readonly error: unknown; readonly failures?: number }];
  recovered: [{ readonly part: string; readonly failures: number }];
  lagging: [{ readonly lagMs: number; readonly waiting: number }];
  idle: [];
}

/** Makes an emitter without listeners. */
export function createEvents(): EventEmitter<DispatcherEvents> {
  return new EventEmitter<DispatcherEvents>();
}

/** The event emitter of one dispatcher. */
export type Events = EventEmitter<DispatcherEvents>;
