import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { failure } from "./errors.ts";
import type { ServiceImplementation } from "./grpc-service.ts";

/** The state that the standard health service reports for one server. */
export interface HealthState {
  /** The handlers of grpc.health.v1.Health. */
  readonly implementation: ServiceImplementation<typeof Health>;
  /** Adds a service, by its full name. The name "" stands for the whole server and is always known. */
  addService(typeName: string): void;
  /**
   * Sets whether the server accepts calls, and informs all watchers. The server is NOT_SERVING until the first call.
   */
  setServing(serving: boolean): void;
}

/** Creates the health service. All services of a server have the same state. */
export function createHealth(): HealthState {
  const known = new Set([""]);
  let status: ServingStatus = ServingStatus.NOT_SERVING;
  let changed = Promise.withResolvers<void>();

  return {
    addService: (typeName) => known.add(typeName),
    setServing: (serving) => {
      status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    implementation: {
      check: async ({ service }) => {
        if (!known.has(service)) throw failure("SERVICE_NOT_FOUND", { service });
        return { status };
      },
      async *watch({ service }, { signal }) {
        const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        let told: ServingStatus | undefined;
        for (;;) {
          const next = changed.promise;
          const now = known.has(service) ? status : ServingStatus.SERVICE_UNKNOWN;
          if (now !== told) yield { status: now };
          told = now;
          if (signal.aborted) return;
          await Promise.race([next, aborted]);
        }
      },
    },
  };
}
