import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createInstruments, DURATION_BOUNDS, histogram } from "../../mesh/metrics/metric.ts";
import type { Telemetry } from "../../mesh/telemetry.ts";

/** What the gateway measures. The name is OpenTelemetry's convention for calls. */
export const GATEWAY_METRICS = {
  calls: histogram("rpc.server.call.duration", {
    unit: "s",
    attributes: ["rpc.method", "error.type"],
    meaning:
      "How long the gateway took to answer calls that came with a valid key; for a stream, until its first answer. `error.type` is there for a call that failed.",
    bounds: DURATION_BOUNDS,
  }),
} as const;

/**
 * Creates the interceptor that measures calls. It must be the outermost one: an error then has its code. It measures
 * nothing when nobody reads the measures.
 */
export function createMeasureInterceptor({
  meter,
  hasMetrics,
}: Pick<Telemetry, "meter" | "hasMetrics">): Interceptor {
  const { calls } = createInstruments(meter, GATEWAY_METRICS);
  if (!hasMetrics) return (next) => next;
  return (next) => async (request) => {
    const beganMs = performance.now();
    const record = (rest: object) => {
      const name = `${request.service.typeName}/${request.method.name}`;
      calls.record((performance.now() - beganMs) / 1_000, { "rpc.method": name, ...rest });
    };
    try {
      const response = await next(request);
      record({});
      return response;
    } catch (error) {
      record({ "error.type": error instanceof ConnectError ? Code[error.code] : "Unknown" });
      throw error;
    }
  };
}
