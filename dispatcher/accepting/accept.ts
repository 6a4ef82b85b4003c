import { toPlainArray, toQuotedArray } from "../../db/array.ts";
import { isItemFault } from "../../db/item-fault.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type {
  AcceptRequest,
  TriggerEvent,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { failure } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { type HeldTrigger, toHeldTrigger } from "../waiting/held-trigger.ts";
import { HORIZON_MS } from "../waiting/horizon.ts";
import { triggerReadOwnPending } from "../waiting/triggers.sql.ts";
import { type AcceptedRow, triggerAccept, triggerAcceptAnew } from "./accept.sql.ts";
import { toTrigger } from "./to-trigger.ts";

/** Most events of one batch. */
export const MAX_BATCH = 1_000;

/**
 * A fire time that is later than this before now is after the floor of its project: nothing is kept for less than a day. One
 * hour is left for clocks that differ.
 */
const KEPT_MS = 23 * 3_600_000;

/** The name of the primary key of dispatcher.live_triggers. */
const LIVE_TRIGGERS_KEY = "live_triggers_pkey";

/** Most characters of the text that says why an event is refused. */
const MAX_PROBLEM_LENGTH = 256;

/** What accepting needs. */
export interface AcceptParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly lease: Lease;
  readonly events: Events;
  /** Holds triggers that this instance owns. A trigger that is held already is not held twice. */
  readonly hold: (triggers: readonly HeldTrigger[]) => void;
}

/** An event that cannot be recorded because of what is in it. */
interface Refusal {
  readonly triggerId: string;
  /** What is wrong; at most 256 characters. */
  readonly problem: string;
}

/** What became of a batch. */
export interface Accepted {
  /** How many events were recorded by this call. */
  readonly recorded: number;
  readonly refused: readonly Refusal[];
  /** The ids of the events that were not recorded now, and may be sent again. */
  readonly postponed: readonly string[];
}

/** An event, and the trigger that it becomes. */
interface Item {
  readonly event: TriggerEvent;
  readonly trigger: HeldTrigger;
}

/** What one run of the statement did. */
interface RecordedPart {
  readonly items: readonly Item[];
  readonly rows: readonly AcceptedRow[];
}

/**
 * Records a batch of events durably, each once, and holds the triggers that are due soon. An event that fails alone is
 * refused, and so is one from before the floor of its project, unless its trigger is still there. The others are recorded. An
 * event whose job another transaction has locked is postponed. All other events were recorded, now or earlier, or their job has changed since they were made.
 *
 * Throws FIELD_INVALID for more than MAX_BATCH events; DEADLINE_EXCEEDED when `deadlineMs` has passed by PostgreSQL's
 * clock and nothing was recorded or refused; and SERVICE_UNAVAILABLE, also when `deadlineMs` has passed while the
 * triggers were written.
 *
 * The statement reads the clock before and after it writes. Nothing is recorded that was not written by the deadline.
 * Its commit may come after the deadline, by the time that the commit itself takes.
 */
export async function acceptEvents(
  parts: AcceptParts,
  { events, deadlineMs }: Pick<AcceptRequest, "events" | "deadlineMs">,
): Promise<Accepted> {
  if (events.length > MAX_BATCH) {
    throw failure("FIELD_INVALID", {
      field: "events",
      problem: `At most ${MAX_BATCH} are allowed; there are ${events.length}.`,
    });
  }
  const instance = parts.lease.instance;
  const deadline = deadlineMs === 0n ? null : Number(deadlineMs);
  const { items, refused } = readEvents(events);
  const record = (part: readonly Item[]) => recordPart(parts, part, instance, deadline);
  const { results, failed } = await takeApart(items, record, { isItemFault });
  for (const { item, error } of failed) refused.push(toRefusal(item.event, error));
  const lateParts = results.filter(({ rows }) => rows.some(({ outcome }) => outcome === "LATE"));
  if (lateParts.length > 0 && lateParts.length === results.length && refused.length === 0) {
    throw failure("DEADLINE_EXCEEDED");
  }
  const rows = results.flatMap((each) => each.rows);
  refused.push(...rows.filter(({ outcome }) => outcome === "EXPIRED").map(({ id }) => toExpired(id)));
  const contended = rows.filter(({ outcome }) => outcome === "CONTENDED").map(({ id }) => id);
  const late = lateParts.flatMap((each) => each.items.map(({ event }) => event.triggerId));
  const decided = results.flatMap((each) => each.items);
  const recorded = await holdRecorded(parts, { items: decided, rows }, instance);
  return { recorded, refused, postponed: [...contended, ...late] };
}

function readEvents(events: readonly TriggerEvent[]): { items: Item[]; refused: Refusal[] } {
  const items: Item[] = [];
  const refused: Refusal[] = [];
  for (const event of events) {
    try {
      items.push({ event, trigger: toTrigger(event) });
    } catch (error) {
      refused.push(toRefusal(event, error));
    }
  }
  return { items, refused };
}

function toRefusal({ triggerId }: TriggerEvent, error: unknown): Refusal {
  const problem = error instanceof Error ? error.message : String(error);
  return { triggerId, problem: printable(problem, MAX_PROBLEM_LENGTH) };
}

function toExpired(triggerId: string): Refusal {
  const problem =
    "Its fire time is before the floor of its project, so it is not known whether it was recorded before.";
  return { triggerId, problem };
}

async function recordPart(
  { database, clock }: AcceptParts,
  items: readonly Item[],
  instance: string,
  deadlineMs: number | null,
): Promise<RecordedPart> {
  const triggers = items.map(({ trigger }) => trigger);
  const events = items.map(({ event }) => event);
  const now = clock.now();
  const values = [
    ...toColumns(triggers, events),
    instance,
    toSqlTime(now + HORIZON_MS),
    toSqlTime(now),
    toPlainArray(triggers.map(({ previousSkipped }) => previousSkipped)),
    toPlainArray(triggers.map(({ previousMissed }) => previousMissed)),
    toQuotedArray(events.map(({ zoneDataVersion }) => zoneDataVersion)),
    toSqlTimeOrNull(deadlineMs),
    triggers.some(({ fireTimeMs }) => fireTimeMs < now - KEPT_MS) ? toSqlTime(now - KEPT_MS) : null,
  ];
  try {
    return { items, rows: await database.query(triggerAccept, values) };
  } catch (error) {
    if (!isLeftBehind(error)) throw error;
    return { items, rows: await database.query(triggerAcceptAnew, values) };
  }
}

/** Whether an event is not recorded because dispatcher.live_triggers has a row of its id without a trigger. */
function isLeftBehind(error: unknown): boolean {
  return error instanceof Error && (error as { constraint?: unknown }).constraint === LIVE_TRIGGERS_KEY;
}

/** Holds the triggers that were recorded and are due soon. Returns how many were recorded. */
async function holdRecorded(
  parts: AcceptParts,
  { items, rows }: RecordedPart,
  instance: string,
): Promise<number> {
  const owned = new Set<string>();
  let recorded = 0;
  for (const { id, outcome } of rows) {
    if (outcome === "OWNED") owned.add(id);
    if (outcome === "OWNED" || outcome === "RECORDED") recorded += 1;
  }
  const triggers = items.map(({ trigger }) => trigger);
  // If the lease was lost meanwhile, the recorded triggers are released with the others of the old instance id.
  if (instance === parts.lease.instance) parts.hold(triggers.filter(({ id }) => owned.has(id)));
  if (recorded < triggers.length) await holdAcceptedBefore(parts, triggers);
  parts.events.emit("accepted", { recorded, held: owned.size });
  return recorded;
}

// An earlier call, whose answer this process never received, may have recorded the same events. Recovery sets aside those
// that cannot be read.
async function holdAcceptedBefore(parts: AcceptParts, triggers: readonly HeldTrigger[]): Promise<void> {
  const read = (part: readonly HeldTrigger[]) => {
    const times = part.map(({ fireTimeMs }) => fireTimeMs);
    return parts.database.query(triggerReadOwnPending, [
      part.map(({ id }) => id),
      toSqlTime(Math.min(...times)),
      toSqlTime(Math.max(...times)),
      parts.lease.instance,
    ]);
  };
  const { results, failed } = await takeApart(triggers, read, { isItemFault });
  parts.hold(results.flat().map(toHeldTrigger));
  const [first] = failed;
  if (first !== undefined) parts.events.emit("trouble", { part: "accepting", error: first.error });
}

function toColumns(triggers: readonly HeldTrigger[], events: readonly TriggerEvent[]) {
  return [
    toPlainArray(triggers.map(({ id }) => id)),
    toPlainArray(triggers.map(({ fireTimeMs }) => fireTimeMs)),
    toPlainArray(triggers.map(({ effectiveTimeMs }) => effectiveTimeMs)),
    toPlainArray(triggers.map(({ projectId }) => projectId)),
    toPlainArray(triggers.map(({ jobUid }) => jobUid)),
    // A name or a payload may be the text null. toPlainArray does not quote it, and PostgreSQL would read it as NULL.
    toQuotedArray(triggers.map(({ jobName }) => jobName)),
    toPlainArray(triggers.map(({ revision }) => revision)),
    toPlainArray(events.map(({ epoch }) => epoch)),
    toPlainArray(triggers.map(({ kind }) => kind)),
    toPlainArray(triggers.map(({ seq }) => seq)),
    toPlainArray(triggers.map(({ previousFireTimeMs }) => previousFireTimeMs)),
    toPlainArray(triggers.map(({ nextFireTimeMs }) => nextFireTimeMs)),
    toQuotedArray(triggers.map(({ payload }) => payload)),
  ];
}
