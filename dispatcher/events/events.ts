import { EventEmitter } from "node:events";
import type { Outcome } from "../delivery/outcome.ts";

/** An attempt that has ended and is not yet recorded. */
export interface AttemptEvent {
  readonly triggerId: string;
  readonly number: number;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** What really happened, for logs only. */
  readonly cause: unknown;
}

/**
 * What a dispatcher tells of itself, and to whom it listens: logs and tests.
 *
 * | event | when |
 * | --- | --- |
 * | accepted | a batch is durable: how many were recorded |
 * | claimed | a claim was answered: how many are to start, how many are not wanted any more |
 * | attempt | an attempt has ended |
 * | recorded | results are durable: of which triggers |
 * | taken | triggers that nobody held were taken |
 * | released | triggers of a dead dispatcher were freed: how many, and of whom |
 * | leased | a lease was got under a new instance id |
 * | leaseLost | the lease ran out before it was renewed |
 * | trouble | something of ours failed and will be tried again, or `recovered` after that |
 * | lagging | results have waited for more than a second: how long the oldest has, and how many do |
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
  trouble: [{ readonly part: string; readonly error: unknown }];
  recovered: [{ readonly part: string; readonly failures: number }];
  lagging: [{ readonly lagMs: number; readonly waiting: number }];
  idle: [];
}

/** Makes an emitter that nobody listens to yet. */
export function createEvents(): EventEmitter<DispatcherEvents> {
  return new EventEmitter<DispatcherEvents>();
}

/** The emitter of one dispatcher. */
export type Events = EventEmitter<DispatcherEvents>;
