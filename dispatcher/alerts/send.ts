import { isItemFault } from "../../db/item-fault.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Wanted } from "../../mesh/loop.ts";
import type { AttemptParts } from "../delivery/attempt.ts";
import { makeAttempt } from "../delivery/attempt.ts";
import { DEFAULT_RETRY_POLICY, nextState } from "../delivery/next-state.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { StartedAttempt } from "../delivery/started-attempt.ts";
import type { Events } from "../events/events.ts";
import { type AlertRule, readAlertRule } from "./alert-rule.ts";
import {
  type AlertRow,
  alertCurrentRevision,
  alertFactsLoosen,
  alertRecordAttempt,
  alertSpec,
  alertsDeleteOld,
  alertsTake,
} from "./alerts.sql.ts";
import { createPlaces, enter, leave, listDue, type Places } from "./due.ts";
import { readProjectAlerts } from "./project-alerts.ts";

/** What sending alerts needs. */
export interface SendParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly attempt: AttemptParts;
}

/** Sends the alerts that are due, beside the triggers: they take none of the places of these. */
export interface AlertSender {
  /** Starts what is due, without waiting for answers. Throws SERVICE_UNAVAILABLE. */
  send(): Promise<Wanted>;
  /** Waits until nothing is in flight, for at most `limitMs`. What is not recorded by then is sent again. */
  close(limitMs: number): Promise<void>;
}

/** Time between two looks for alerts that are due. */
export const SEND_EVERY_MS = 500;
/** Time between two removals of old alerts. */
export const DELETE_OLD_EVERY_MS = 60_000;

/** The longest time of one attempt. */
const TIMEOUT_MS = 10_000;
/** If the result of an attempt is not recorded by then, for example because the process died, it is made again. */
const TAKEN_MS = 20_000;
/** How long alerts are kept that have ended. */
const KEPT_MS = 7 * 86_400_000;
const MAX_ERROR_LENGTH = 500;
const UNREADABLE = "The job's alerts cannot be read; this is an error in EasyCron.";

interface SendState {
  readonly parts: SendParts;
  /** The attempts in flight. */
  readonly running: Set<Promise<void>>;
  readonly places: Places;
}

/** Makes a sender. An alert is retried with the default policy, under one id; if it is EXHAUSTED, that is logged only. */
export function createAlertSender(parts: SendParts): AlertSender {
  const state: SendState = { parts, running: new Set(), places: createPlaces() };
  return {
    send: () => sendDue(state),
    close: async (limitMs) => {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limitMs);
      });
      await Promise.race([Promise.all(state.running), limit]);
      clearTimeout(timer);
    },
  };
}

async function sendDue(state: SendState): Promise<Wanted> {
  const { database, clock } = state.parts;
  const nowMs = clock.now();
  const ids = await listDue(database, state.places, nowMs);
  if (ids.length === 0) return { more: false };
  const taken = await database.query(alertsTake, [ids, toSqlTime(nowMs), toSqlTime(nowMs + TAKEN_MS)]);
  for (const alert of taken) start(state, alert);
  return { more: false };
}

function start(state: SendState, alert: AlertRow): void {
  const { running, places, parts } = state;
  enter(places, alert.project_id);
  const work = sendOne(parts, alert)
    .catch((error: unknown) => {
      // It is due again when TAKEN_MS have passed.
      parts.events.emit("trouble", { part: "sending alerts", error });
    })
    .finally(() => {
      running.delete(work);
      leave(places, alert.project_id);
    });
  running.add(work);
}

async function sendOne(parts: SendParts, alert: AlertRow): Promise<void> {
  const { clock, random } = parts;
  const delivery = await deliver(parts, alert);
  if (delivery === undefined) {
    await end(parts, alert, { state: "CANCELLED", error: "The job has no alerts any more." });
    return;
  }
  const next = nextState({
    outcome: delivery.outcome,
    policy: DEFAULT_RETRY_POLICY,
    attempt: alert.attempt_count,
    nowMs: clock.now(),
    effectiveTimeMs: alert.create_time,
    nextFireTimeMs: null,
    random,
  });
  if (next.state === "RETRYING") await retry(parts, alert, delivery, next.dueTimeMs);
  // Without an acknowledgement policy a success ends the alert.
  else
    await end(parts, alert, {
      state: next.state === "EXHAUSTED" ? "EXHAUSTED" : "SUCCEEDED",
      error: delivery.error,
    });
}

/**
 * Makes one attempt; returns undefined if the job has no alerts any more. An attempt with alerts that cannot be read is NOT_SENT:
 * such an alert is retried and given up like any other, and an operator can mend the alerts meanwhile.
 */
async function deliver(parts: SendParts, alert: AlertRow): Promise<Delivery | undefined> {
  const { database, clock, attempt, events } = parts;
  try {
    const rule = await currentRule(database, alert);
    if (rule === undefined) return undefined;
    return await makeAttempt(attempt, toAttempt(alert, rule, clock.now()));
  } catch (error) {
    if (!isItemFault(error)) throw error;
    events.emit("trouble", { part: `sending alerts of job ${alert.job_uid}`, error });
    return { outcome: { kind: "NOT_SENT" }, error: UNREADABLE, responseBody: "", cause: error };
  }
}

/**
 * Reads where the job's alerts go now, so that a customer can correct a wrong URL: the job's own, or else those of its project.
 * A deleted job keeps its last rule.
 */
async function currentRule(
  database: Database,
  { job_uid: jobUid, project_id: projectId }: AlertRow,
): Promise<AlertRule | undefined> {
  const [current] = await database.query(alertCurrentRevision, [jobUid]);
  if (current === undefined) return undefined;
  const [row] = await database.query(alertSpec, [jobUid, current.revision]);
  const own = row === undefined ? undefined : readAlertRule(row.spec);
  if (own !== undefined) return own;
  const ofProject = (await readProjectAlerts(database, [projectId])).get(projectId);
  return ofProject === undefined ? undefined : readAlertRule(ofProject.spec);
}

/** An alert is sent as a webhook whose body is given: it has the same headers, signature and limits as one of a trigger. */
function toAttempt(alert: AlertRow, { target }: AlertRule, nowMs: number): StartedAttempt {
  return {
    number: alert.attempt_count,
    startTimeMs: nowMs,
    spec: {
      target: { ...target, body: [alert.body] },
      destination: target.origin,
      retryPolicy: DEFAULT_RETRY_POLICY,
      attemptTimeoutMs: TIMEOUT_MS,
      payload: "null",
      waitsForEnd: false,
      isOrdered: false,
      flow: undefined,
    },
    trigger: {
      id: alert.id,
      fireTimeMs: alert.create_time,
      effectiveTimeMs: alert.create_time,
      dueTimeMs: alert.create_time,
      projectId: alert.project_id,
      jobUid: alert.job_uid,
      jobName: "",
      revision: 0,
      kind: "MANUAL",
      seq: 0,
      previousFireTimeMs: null,
      nextFireTimeMs: null,
      previousSkipped: 0,
      previousMissed: 0,
      payload: null,
      attemptBase: 0,
      attemptCount: alert.attempt_count,
      waitingFor: null,
      waitingSinceMs: null,
    },
  };
}

async function retry(
  { database, events }: SendParts,
  { id, job_uid: jobUid, event, attempt_count: attempt }: AlertRow,
  { error, outcome }: Delivery,
  dueMs: number,
): Promise<void> {
  await database.query(alertRecordAttempt, [id, attempt, "PENDING", toSqlTime(dueMs), null, shorten(error)]);
  events.emit("alertSent", { id, jobUid, event, attempt, outcome: outcome.kind, state: "PENDING", error });
}

async function end(
  { database, events, clock }: SendParts,
  { id, job_uid: jobUid, event, attempt_count: attempt }: AlertRow,
  { state, error }: { readonly state: "SUCCEEDED" | "EXHAUSTED" | "CANCELLED"; readonly error: string },
): Promise<void> {
  const endTime = toSqlTimeOrNull(clock.now());
  await database.query(alertRecordAttempt, [id, attempt, state, null, endTime, shorten(error)]);
  events.emit("alertSent", { id, jobUid, event, attempt, outcome: state, state, error });
}

function shorten(error: string): string {
  return error.slice(0, MAX_ERROR_LENGTH);
}

/**
 * Deletes alerts that have ended more than a week ago, at most 1,000 at a time, and lets facts be looked at that nobody would
 * find. Throws SERVICE_UNAVAILABLE.
 */
export async function deleteOldAlerts({
  database,
  clock,
}: Pick<SendParts, "database" | "clock">): Promise<Wanted> {
  await database.query(alertFactsLoosen, []);
  const rows = await database.query(alertsDeleteOld, [toSqlTime(clock.now() - KEPT_MS)]);
  return { more: rows.length === 1_000 };
}
