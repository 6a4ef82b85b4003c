import { createHash } from "node:crypto";
import { toIso } from "../../mesh/iso-time.ts";
import { toBase32 } from "../delivery/attempt-id.ts";
import type { AlertEventName } from "./alert-rule.ts";
import type { AlertDraft } from "./decide.ts";
import type { Fact } from "./fact.ts";

/** The job that an alert is about. */
export interface AlertJob {
  readonly projectId: string;
  readonly uid: string;
  readonly name: string;
  readonly revision: number;
  readonly withinMs: number | null;
}

/** Most triggers and fire times that a document lists. */
const MAX_LISTED = 10;
const ID_BYTES = 16;

/**
 * Returns the id of an alert, alr_…, which is its webhook-id. It depends only on the job, the event and the cause, so what
 * is decided again after a crash has the same id.
 */
export function alertId(jobUid: string, { event, cause }: Pick<AlertDraft, "event" | "cause">): string {
  const digest = createHash("sha256").update(`easycron.alert.v1\n${jobUid}\n${event}\n${cause}`).digest();
  return `alr_${toBase32(digest.subarray(0, ID_BYTES))}`;
}

/** Returns the JSON document of an alert (docs/alerts.md). It never changes once it is made. */
export function toAlertDocument(job: AlertJob, draft: AlertDraft): string {
  const { event, timeMs, sinceMs, facts } = draft;
  const triggers = facts.flatMap((fact) => fact.triggers);
  const reason = facts.find((fact) => fact.reason !== "")?.reason;
  return JSON.stringify({
    type: `job.${event.toLowerCase()}`,
    timestamp: toIso(timeMs),
    data: {
      project: job.projectId,
      job: { name: job.name, uid: job.uid, revision: job.revision },
      since: toIso(sinceMs),
      count: countOf(facts),
      nominalTimes: [...new Set(facts.flatMap((fact) => fact.fireTimesMs))]
        .sort((a, b) => a - b)
        .slice(0, MAX_LISTED)
        .map(toIso),
      triggers: triggers.slice(0, MAX_LISTED).map(({ id, nominalMs, attempts }) => ({
        id,
        nominalTime: toIso(nominalMs),
        attempts,
      })),
      ...(reason === undefined ? {} : { reason }),
      message: MESSAGES[event](job, draft),
    },
  });
}

function countOf(facts: readonly Fact[]): number {
  return facts.reduce((sum, { count }) => sum + count, 0);
}

type ToMessage = (job: AlertJob, draft: AlertDraft) => string;

const MESSAGES: Readonly<Record<AlertEventName, ToMessage>> = {
  EXHAUSTED: ({ name }) =>
    `A trigger of the job "${name}" is a dead letter: no more attempts are made. GetTrigger shows why they failed, and ` +
    "ReplayTrigger delivers it again.",
  MISSED: ({ name }, { facts }) =>
    `The job "${name}" has missed ${countOf(facts)} fire time(s), because EasyCron had an outage. ListFireTimes lists ` +
    "them, and BackfillJob delivers them.",
  FAILING: ({ name }, { facts }) =>
    `${facts[0]?.triggers[0]?.attempts ?? 4} attempts of a trigger of the job "${name}" have failed. It is tried again. ` +
    "GetTrigger shows why they failed.",
  DISABLED: ({ name }, { facts }) =>
    `The job "${name}" does not fire any more. ${facts[0]?.reason ?? ""}`.trimEnd(),
  RECOVERED: ({ name }, { sinceMs }) =>
    `The job "${name}" works again: a trigger has succeeded. It had been in trouble since ${toIso(sinceMs)}.`,
  NOT_DELIVERED: ({ name, withinMs }, { facts }) =>
    `The job "${name}" has ${countOf(facts)} fire time(s) that did not succeed within ${(withinMs ?? 0) / 1_000} s. ` +
    (facts.every(({ triggers }) => triggers.length === 0)
      ? "EasyCron has made no trigger for them, so the fault is on its side."
      : "GetTrigger shows why the attempts failed."),
};
