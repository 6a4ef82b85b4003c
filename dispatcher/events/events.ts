import { EventEmitter } from "node:events";
import type { NextState } from "../delivery/next-state.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Spec } from "../delivery/spec.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/** An attempt that has ended and is not yet recorded. */
export interface AttemptEvent {
  readonly triggerId: string;
  readonly number: number;
  /** In epoch milliseconds. */
  readonly startTimeMs: number;
  readonly outcome: Outcome;
  /** The state of the trigger when this is recorded. */
  readonly state: NextState["state"];
  /** With the customer's data: not for logs. */
  readonly trigger: HeldTrigger;
  /** With the customer's data: not for logs. */
  readonly spec: Pick<Spec, "target">;
  readonly durationMs: number;
  /** The error behind the outcome, if any; for logs only. */
  readonly cause: unknown;
}

/** A monthly partition that could not be made yet. */
export interface PartitionLateEvent {
  readonly partition: string;
  /** For how long it has been tried. */
  readonly triedMs: number;
  /** The time until its month begins; negative if it has begun. */
  readonly leftMs: number;
  /** Why the last try failed. */
  readonly error: unknown;
}

/** An attempt to send an alert that has ended. */
export interface AlertSentEvent {
  /** alr_…. */
  readonly id: string;
  readonly jobUid: string;
  /** What the alert reports. */
  readonly event: string;
  readonly attempt: number;
  readonly outcome: string;
  readonly state: "PENDING" | "SUCCEEDED" | "EXHAUSTED" | "CANCELLED";
  /** In words that may be shown to the customer; empty after a success. */
  readonly error: string;
}

/** What holds back the removal of dead rows. */
export interface OldSnapshotEvent {
  readonly kind: "SESSION" | "PREPARED" | "SLOT";
  /** The server process of a SESSION. */
  readonly pid: number | null;
  /** The application name of a SESSION, the id of a PREPARED transaction, or the name of a replication SLOT. */
  readonly name: string;
  readonly ageMs: number;
}

/**
 * The events that a dispatcher emits. Logs and tests listen to them.
 *
 * | event | when |
 * | --- | --- |
 * | accepted | a batch of trigger events is durable: how many were recorded, and how many of them are held |
 * | claimed | a claim was answered: how many attempts will start, how many triggers are no longer wanted, and how many are tried again because their row is locked or because they are not due yet |
 * | attempt | an attempt has ended |
 * | recorded | results are durable: the ids of their triggers |
 * | changed | results changed triggers: the new state of each, by id |
 * | exhausted | triggers were ended without another attempt, because no attempt or no time is left: how many |
 * | acknowledged | a receiver acknowledged a trigger: with what, whether it counts, and whether the trigger has ended |
 * | unacknowledged | triggers whose work a receiver failed, or did not acknowledge in time: their states now |
 * | taken | triggers without an owner were taken: how many |
 * | takenFromStalled | triggers of stalled instances were taken: how many, and of which instances |
 * | released | triggers of an instance were released: how many, and of which instance |
 * | leased | a lease was taken under a new instance id |
 * | leaseLost | the lease expired before it was renewed |
 * | trouble | a part of the dispatcher failed and tries again; how often since the event before, if more than once |
 * | recovered | a part works again: after how many failures |
 * | partitionMade | a monthly partition was made: its name |
 * | partitionLate | a monthly partition could not be made: its name, since when, and the time until its month begins |
 * | partitionInDefault | a monthly partition is not made, because the default partition already has rows of its month: its name |
 * | partitionDropped | a monthly partition was dropped, because nothing in it is kept: its name |
 * | partitionKept | a monthly partition in which nothing is kept could not be dropped yet: its name, and after how many tries |
 * | triggersRemoved | triggers of a project were removed, because they are older than its days: how many, and its floor |
 * | oldSnapshot | something holds back the removal of dead rows for too long: what, and for how long |
 * | liveTriggersDiffered | dispatcher.live_triggers and dispatcher.triggers differed: about how many triggers, how many rows were repaired, and the ids of the first ten triggers |
 * | destination | an origin of a project gets no attempts for a pause, or all again: which, and for how long |
 * | lagging | the oldest result has waited for more than a second: for how long, and how many wait |
 * | setAside | items failed alone: of which kind, how many, the ids of the first ten, the error of one of them, and after how long the first is tried again |
 * | alertSent | an attempt to send an alert has ended: the alert, its job, its event and its state now |
 * | alertsHeld | a job or its project has had too many alerts lately, so the next ones wait |
 * | idle | nothing is due, in flight or waiting to be recorded |
 */
export interface DispatcherEvents {
  accepted: [{ readonly recorded: number; readonly held: number }];
  claimed: [{ readonly started: number; readonly refused: number; readonly postponed: number }];
  attempt: [AttemptEvent];
  recorded: [{ readonly triggerIds: readonly string[] }];
  changed: [{ readonly states: ReadonlyMap<string, string> }];
  exhausted: [{ readonly count: number }];
  acknowledged: [{ readonly outcome: string; readonly counts: boolean; readonly hasEnded: boolean }];
  unacknowledged: [{ readonly states: readonly string[] }];
  taken: [{ readonly count: number }];
  takenFromStalled: [{ readonly instances: readonly string[]; readonly count: number }];
  released: [{ readonly instance: string; readonly count: number }];
  leased: [{ readonly instance: string }];
  leaseLost: [{ readonly instance: string }];
  trouble: [{ readonly part: string; readonly error: unknown; readonly failures?: number }];
  recovered: [{ readonly part: string; readonly failures: number }];
  partitionMade: [{ readonly partition: string }];
  partitionLate: [PartitionLateEvent];
  partitionInDefault: [{ readonly partition: string }];
  partitionDropped: [{ readonly partition: string }];
  partitionKept: [{ readonly partition: string; readonly tries: number; readonly error: unknown }];
  triggersRemoved: [{ readonly projectId: string; readonly removed: number; readonly floorMs: number }];
  oldSnapshot: [OldSnapshotEvent];
  liveTriggersDiffered: [
    { readonly found: number; readonly repaired: number; readonly ids: readonly string[] },
  ];
  destination: [
    {
      readonly projectId: string;
      readonly destination: string;
      readonly state: "BLOCKED" | "OPEN";
      readonly pauseMs: number;
    },
  ];
  lagging: [{ readonly lagMs: number; readonly waiting: number }];
  setAside: [
    {
      readonly kind: string;
      readonly count: number;
      readonly ids: readonly string[];
      readonly pauseMs: number;
      readonly error: unknown;
    },
  ];
  alertSent: [AlertSentEvent];
  alertsHeld: [{ readonly jobUid: string; readonly projectId: string }];
  idle: [];
}

/** Makes an emitter without listeners. */
export function createEvents(): EventEmitter<DispatcherEvents> {
  return new EventEmitter<DispatcherEvents>();
}

/** The event emitter of one dispatcher. */
export type Events = EventEmitter<DispatcherEvents>;
