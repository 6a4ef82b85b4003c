import type { ServiceImpl } from "@connectrpc/connect";
import type { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import type { HealthState } from "../../mesh/grpc-health.ts";
import { newTraceparent } from "../../mesh/trace.ts";

/**
 * Returns the handlers of the standard health service on the public port. Watching calls end when `shutdownSignal` is
 * aborted.
 */
export function createHealthService(
  { implementation }: HealthState,
  shutdownSignal: AbortSignal,
): ServiceImpl<typeof Health> {
  const quiet = (signal: AbortSignal) => ({ signal, deadlineMs: undefined, traceparent: newTraceparent() });
  return {
    check: (request, { signal }) => implementation.check(request, quiet(signal)),
    watch: (request, { signal }) =>
      implementation.watch(request, quiet(AbortSignal.any([signal, shutdownSignal]))),
  };
}
