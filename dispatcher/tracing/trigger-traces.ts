import { type Attributes, SpanKind } from "@opentelemetry/api";
import type { AcceptRequest } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { createGuard } from "../../mesh/guard.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { TriggerTracer } from "../../mesh/trigger-tracer.ts";
import type { Accepted } from "../accepting/accept.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { SpecTarget } from "../delivery/spec.ts";
import type { StartedAttempt } from "../delivery/started-attempt.ts";
import type { Result } from "../results/result.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/** Records what a dispatcher does with the triggers whose trace is recorded. Never throws. Times are epoch milliseconds. */
export interface TriggerTraces {
  /** A batch of events was answered; recording began at `startMs`. */
  accepted(request: Pick<AcceptRequest, "events">, answer: Accepted, startMs: number): void;
  /** The next attempt of triggers was claimed, in one statement that began at `startMs`. */
  claimed(triggers: readonly HeldTrigger[], startMs: number): void;
  /** An attempt has ended. */
  attempted(attempt: StartedAttempt, outcome: Outcome, endMs: number): void;
  /** The result of an attempt is durable. */
  recorded(result: Result): void;
}

/** Makes the recorder; undefined when nobody gets the spans, so that nothing at all is done for them. */
export function createTriggerTraces(
  tracer: TriggerTracer,
  clock: Clock,
  logger: Pick<Logger, "error">,
): TriggerTraces | undefined {
  if (!tracer.isOn) return undefined;
  const { accepted, claimed, attempted, recorded } = createRecorder(tracer, clock);
  // The results of attempts are kept between these calls, so an error here must not reach the pipeline.
  const guard = createGuard(logger, "the traces of triggers");
  return {
    accepted: guard(accepted),
    claimed: guard(claimed),
    attempted: guard(attempted),
    recorded: guard(recorded),
  };
}

function createRecorder(tracer: TriggerTracer, clock: Clock): TriggerTraces {
  const kind = SpanKind.INTERNAL;
  return {
    accepted: ({ events }, { refused, postponed }, startMs) => {
      const endMs = clock.now();
      const left = new Set([...refused.map(({ triggerId }) => triggerId), ...postponed]);
      for (const { triggerId, projectId, jobUid } of events) {
        if (left.has(triggerId) || !tracer.isSampled(triggerId)) continue;
        const attributes = { ...ofJob({ projectId, jobUid }), "easycron.batch.size": events.length };
        const times = { startMs, endMs, attributes };
        tracer.record({ triggerId, name: "accept", kind: SpanKind.SERVER, parent: "hand-over", ...times });
      }
    },
    claimed: (triggers, startMs) => {
      const endMs = clock.now();
      for (const trigger of triggers) {
        const { id: triggerId, attemptCount } = trigger;
        if (!tracer.isSampled(triggerId)) continue;
        const attributes = {
          ...ofJob(trigger),
          "easycron.attempt.number": attemptCount + 1,
          "easycron.batch.size": triggers.length,
        };
        tracer.record({ triggerId, name: "claim", kind, parent: "trigger", startMs, endMs, attributes });
      }
    },
    attempted: (attempt, outcome, endMs) => {
      const { trigger, number, spec, startTimeMs: startMs } = attempt;
      const { id: triggerId } = trigger;
      if (!tracer.isSampled(triggerId)) return;
      tracer.record({
        triggerId,
        ...toTargetForm(spec.target),
        part: `attempt ${number}`,
        parent: "trigger",
        startMs,
        endMs,
        attributes: {
          ...ofJob(trigger),
          ...ofTarget(spec.target),
          ...ofOutcome(outcome),
          "easycron.attempt.number": number,
        },
        ...(outcome.kind !== "SUCCEEDED" && { error: outcome.kind }),
      });
    },
    recorded: ({ trigger, number, attemptId, endTimeMs: startMs, next }) => {
      const { id: triggerId } = trigger;
      if (!tracer.isSampled(triggerId)) return;
      const attributes = {
        ...ofJob(trigger),
        "easycron.attempt.id": attemptId,
        "easycron.attempt.number": number,
        "easycron.trigger.state": next.state,
      };
      const parent = `attempt ${number}` as const;
      tracer.record({ triggerId, name: "record", kind, parent, startMs, endMs: clock.now(), attributes });
    },
  };
}

function ofJob({ projectId, jobUid }: Pick<HeldTrigger, "projectId" | "jobUid">): Attributes {
  return { "easycron.project.id": projectId, "easycron.job.uid": jobUid };
}

/** The name and the kind of an attempt's span, by OpenTelemetry's conventions for HTTP and messaging. */
function toTargetForm(target: SpecTarget): { readonly name: string; readonly kind: SpanKind } {
  if (target.kind === "webhook") return { name: `${target.method} webhook`, kind: SpanKind.CLIENT };
  if (target.kind === "plugin") return { name: `send ${target.plugin}`, kind: SpanKind.PRODUCER };
  return { name: "attempt", kind: SpanKind.INTERNAL };
}

// The path and the query of a webhook are left out: they may hold a secret of the customer.
function ofTarget(target: SpecTarget): Attributes {
  if (target.kind === "plugin") {
    return { "messaging.system": target.plugin, "messaging.operation.type": "send" };
  }
  if (target.kind === "unreadable") return {};
  const { protocol, hostname, port } = new URL(target.origin);
  return {
    "http.request.method": target.method,
    "url.scheme": protocol.slice(0, -1),
    "server.address": hostname,
    "server.port": Number(port) || (protocol === "https:" ? 443 : 80),
  };
}

function ofOutcome(outcome: Outcome): Attributes {
  const statusCode = "statusCode" in outcome ? outcome.statusCode : null;
  const isTimeout = "isTimeout" in outcome && outcome.isTimeout;
  return {
    "easycron.attempt.outcome": outcome.kind,
    ...(statusCode !== null && { "http.response.status_code": statusCode }),
    ...(outcome.kind !== "SUCCEEDED" && {
      "error.type": isTimeout ? "timeout" : String(statusCode ?? outcome.kind),
    }),
  };
}
