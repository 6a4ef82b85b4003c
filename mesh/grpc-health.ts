import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { failure } from "./errors.ts";
import type { ServiceImplementation } from "./grpc-service.ts";

/** What the standard health service says of one server. */
export interface HealthState {
  /** The handlers of grpc.health.v1.Health. */
  readonly implementation: ServiceImplementation<typeof Health>;
  /** Makes a service known by its full name, beside "", which is the server as a whole. */
  addService(typeName: string): void;
  /** Whether calls are taken; NOT_SERVING until first said. Tells everybody who watches. */
  setServing(serving: boolean): void;
}

/** Makes the health service: all of a server's services share one state. */
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
