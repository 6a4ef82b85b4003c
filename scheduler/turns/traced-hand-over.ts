import { SpanKind } from "@opentelemetry/api";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { currentCall } from "../../mesh/current-call.ts";
import { createGuard } from "../../mesh/guard.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { linkTo, type TriggerTracer } from "../../mesh/trigger-tracer.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { HandOver } from "./hand-over.ts";
import type { RevisionTraces } from "./revision-traces.ts";

/** What recording hand-overs needs. */
export interface TracedParts {
  readonly tracer: TriggerTracer;
  readonly revisions: RevisionTraces;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "error">;
}

/** Most triggers whose spans wait for the read of their revisions. Of more, no links are read. */
const MAX_WAITING = 10_000;

/**
 * Makes a hand-over that records the trace of each sampled trigger which a dispatcher has made durable: its root, and the
 * hand-over itself. The same event may be sent again, for example after a tick that could not commit. Its spans then have
 * the ids of those before.
 *
 * The root is linked to the call that made the job's revision, and to the call that asked for the trigger, if one did. The
 * links are read after the hand-over, so that nothing waits for them; if they cannot be read, the spans have none.
 */
export function traceHandOver(handOver: HandOver, parts: TracedParts): HandOver {
  const { tracer, clock, revisions } = parts;
  if (!tracer.isOn) return handOver;
  const guard = createGuard(parts.logger, "the traces of hand-overs");
  const recordBatch = guard(
    (batch: Batch, made: ReadonlyMap<TriggerEventInit, string | null> | undefined) => {
      for (const event of batch.sampled) record(tracer, event, made?.get(event), batch);
    },
  );
  let waiting = 0;
  const recordAll = async (batch: Batch): Promise<void> => {
    const { sampled } = batch;
    waiting += sampled.length;
    const made = waiting > MAX_WAITING ? undefined : await revisions.of(sampled);
    waiting -= sampled.length;
    recordBatch(batch, made);
  };
  const traceSent = guard(
    (
      events: readonly TriggerEventInit[],
      refused: Awaited<ReturnType<HandOver["send"]>>,
      startMs: number,
    ) => {
      const left = new Set(refused.map(({ triggerId }) => triggerId));
      const sampled = events.filter(({ triggerId }) => !left.has(triggerId) && tracer.isSampled(triggerId));
      if (sampled.length === 0) return;
      const askedBy = currentCall()?.traceparent;
      void recordAll({ sampled, size: events.length, startMs, endMs: clock.now(), askedBy });
    },
  );
  return {
    close: handOver.close,
    send: async (events) => {
      const startMs = clock.now();
      const refused = await handOver.send(events);
      traceSent(events, refused, startMs);
      return refused;
    },
  };
}

interface Batch {
  /** The events whose trace is recorded. */
  readonly sampled: readonly TriggerEventInit[];
  /** How many events were sent at once. */
  readonly size: number;
  readonly startMs: number;
  readonly endMs: number;
  /** The traceparent of the call within which they were sent. */
  readonly askedBy: string | undefined;
}

const KINDS: ReadonlyMap<TriggerKind, string> = new Map(
  Object.entries(TriggerKind).map(([name, kind]) => [kind, name]),
);

function record(
  tracer: TriggerTracer,
  event: TriggerEventInit,
  madeBy: string | null | undefined,
  { size, startMs, endMs, askedBy }: Batch,
): void {
  const { triggerId, projectId, jobUid } = event;
  const attributes = { "easycron.project.id": projectId, "easycron.job.uid": jobUid };
  tracer.record({
    triggerId,
    name: "trigger",
    kind: SpanKind.INTERNAL,
    part: "trigger",
    startMs,
    endMs,
    attributes: {
      ...attributes,
      "easycron.job.revision": event.revision,
      "easycron.trigger.kind": KINDS.get(event.kind),
      "easycron.trigger.nominal_time": toIso(Number(event.nominalTimeMs)),
      "easycron.trigger.effective_time": toIso(Number(event.effectiveTimeMs)),
    },
    links: [
      ...linkTo(madeBy, "made the job's revision"),
      ...(event.kind === TriggerKind.MANUAL ? linkTo(askedBy, "asked for the trigger") : []),
    ],
  });
  tracer.record({
    triggerId,
    name: "hand over",
    kind: SpanKind.CLIENT,
    part: "hand-over",
    parent: "trigger",
    startMs,
    endMs,
    attributes: { ...attributes, "easycron.batch.size": size },
  });
}
