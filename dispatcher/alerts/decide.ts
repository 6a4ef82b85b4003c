import type { AlertEventName, AlertRule } from "./alert-rule.ts";
import type { Fact } from "./fact.ts";

/** What was reported about a job since it last recovered. */
export interface AlertState {
  readonly told: ReadonlySet<string>;
  /** Since when it is in trouble; null if it is not. Epoch milliseconds. */
  readonly sinceMs: number | null;
}

/** An alert to be made. */
export interface AlertDraft {
  readonly event: AlertEventName;
  /** With the job and the event, it decides the id. */
  readonly cause: string;
  /** When it happened. Epoch milliseconds. */
  readonly timeMs: number;
  /** Since when the job is in trouble, or when it happened. Epoch milliseconds. */
  readonly sinceMs: number;
  /** What has happened; empty for RECOVERED. */
  readonly facts: readonly Fact[];
}

/** What is known about a job when it is looked at. */
export interface JobLook {
  /** The rule of the job, or of its project if the job has none. */
  readonly rule: Pick<AlertRule, "events">;
  readonly state: AlertState;
  readonly facts: readonly Fact[];
  /** The end of the job's latest success since it is in trouble; null if there is none. */
  readonly successMs: number | null;
}

const TROUBLES = ["FAILING", "EXHAUSTED", "NOT_DELIVERED"] as const;

/**
 * Decides what is reported about a job, and its new state. Only changes are reported:
 *
 * 1. FAILING, EXHAUSTED and NOT_DELIVERED: each for the first fact of its kind, until the job has recovered.
 * 2. RECOVERED: when a trigger has succeeded after a fact of rule 1 that the customer wants to know of, or after any if
 *    they want to know of none of these.
 * 3. MISSED: what was missed since the job was last looked at, in one alert.
 * 4. DISABLED: each time.
 */
export function decideAlerts(look: JobLook): { readonly state: AlertState; readonly drafts: AlertDraft[] } {
  const { rule, facts, successMs } = look;
  const counted = TROUBLES.filter((event) => rule.events.has(event));
  const watched: ReadonlySet<string> = new Set(counted.length === 0 ? TROUBLES : counted);
  const troubles = facts.filter(({ kind }) => watched.has(kind)).sort((a, b) => a.timeMs - b.timeMs);
  const isBefore = ({ timeMs }: Fact) => successMs !== null && timeMs <= successMs;
  const first = tell(look.state, troubles.filter(isBefore));
  const recovery = recover(first.state, successMs);
  const second = tell(
    recovery.state,
    troubles.filter((fact) => !isBefore(fact)),
  );
  const others = [...missed(facts), ...disabled(facts)];
  const drafts = [...others, ...first.drafts, ...recovery.drafts, ...second.drafts];
  return {
    state: second.state,
    drafts: drafts.filter(({ event }) => rule.events.has(event)).sort((a, b) => a.timeMs - b.timeMs),
  };
}

type Told = ReturnType<typeof decideAlerts>;

/** Reports each kind of trouble that has not been reported yet. */
function tell(state: AlertState, troubles: readonly Fact[]): Told {
  const [earliest] = troubles;
  if (earliest === undefined) return { state, drafts: [] };
  const sinceMs = state.sinceMs ?? earliest.timeMs;
  const drafts: AlertDraft[] = [];
  for (const [event, facts] of Map.groupBy(troubles, ({ kind }) => kind)) {
    const [fact] = facts;
    if (fact === undefined || state.told.has(event)) continue;
    drafts.push({ event, cause: fact.cause, timeMs: fact.timeMs, sinceMs, facts });
  }
  const told = new Set([...state.told, ...drafts.map(({ event }) => event)]);
  return { state: { told, sinceMs }, drafts };
}

function recover(state: AlertState, successMs: number | null): Told {
  const { sinceMs } = state;
  if (successMs === null || sinceMs === null || successMs < sinceMs) return { state, drafts: [] };
  const cause = new Date(sinceMs).toISOString();
  const draft: AlertDraft = { event: "RECOVERED", cause, timeMs: successMs, sinceMs, facts: [] };
  return { state: { told: new Set(), sinceMs: null }, drafts: [draft] };
}

function missed(all: readonly Fact[]): AlertDraft[] {
  const facts = all.filter(({ kind }) => kind === "MISSED");
  const [first] = facts;
  if (first === undefined) return [];
  const { cause, timeMs } = first;
  return [{ event: "MISSED", cause, timeMs, sinceMs: first.fireTimesMs[0] ?? timeMs, facts }];
}

function disabled(all: readonly Fact[]): AlertDraft[] {
  const facts = all.filter(({ kind }) => kind === "DISABLED");
  return facts.map((fact) => {
    const { cause, timeMs } = fact;
    return { event: "DISABLED", cause, timeMs, sinceMs: timeMs, facts: [fact] };
  });
}
