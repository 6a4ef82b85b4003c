import { expect, test } from "vitest";
import type { AcceptRequest } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { createTriggerTracer, type TriggerTracer, UNTRACED } from "../../mesh/trigger-tracer.ts";
import { toSpec } from "../delivery/spec.ts";
import type { Result } from "../results/result.ts";
import { heldTrigger } from "../testing/held.ts";
import { createTriggerTraces } from "./trigger-traces.ts";

const fail = (): never => {
  throw new Error("broken");
};
const clock = { now: () => 0 };
const text = JSON.stringify({ target: { webhook: { url: "http://127.0.0.1:1/" } }, attemptTimeout: "5s" });
const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
const trigger = heldTrigger(0);

function startLog() {
  const logged: object[] = [];
  return { logged, logger: { error: (fields: object) => void logged.push(fields) } };
}

test("spans that cannot be recorded harm nothing, and one line is logged", () => {
  const { logged, logger } = startLog();
  const broken: TriggerTracer = { ...UNTRACED, isOn: true, isSampled: fail };
  const traces = createTriggerTraces(broken, clock, logger);
  const event = { triggerId: trigger.id } as AcceptRequest["events"][0];
  traces?.accepted({ events: [event] }, { recorded: 1, refused: [], postponed: [], held: [] } as never, 0);
  traces?.claimed([trigger], 0);
  traces?.attempted({ trigger, spec, number: 1, startTimeMs: 0 }, { kind: "UNKNOWN" }, 0);
  traces?.recorded({ trigger, number: 1 } as Result);
  expect(traces).toBeDefined();
  expect(logged).toMatchObject([{ part: "the traces of triggers" }]);
});

test("a tracer that fails harms nothing either", () => {
  const { logged, logger } = startLog();
  const telemetry = { tracer: { startSpan: fail, startActiveSpan: fail }, hasTraces: true };
  const tracer = createTriggerTracer({ ...telemetry, isSampled: () => true }, logger);
  const traces = createTriggerTraces(tracer, clock, logger);
  traces?.claimed([trigger], 0);
  traces?.claimed([trigger], 0);
  expect(logged).toMatchObject([{ part: "recording a span of a trigger" }]);
});
