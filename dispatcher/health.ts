import type { GrpcServer } from "../mesh/grpc-server.ts";
import type { Lease } from "./instances/lease.ts";

/** What the health service of a dispatcher reports: SERVING while it has a lease, makes progress and does not close. */
export interface Health {
  /** Whether the dispatcher closes. It then takes no more triggers over. */
  readonly isClosing: boolean;
  /** Reports the health anew, because the lease may have changed. */
  show(): void;
  /** Says whether everything that must complete again and again does. */
  setProgress(isMade: boolean): void;
  /** From now on, schedulers hand triggers over to other dispatchers. */
  startClosing(): void;
}

/** Makes the health of a dispatcher. `show` reports it for the first time. */
export function createHealth(parts: {
  readonly server: Pick<GrpcServer, "setServing">;
  readonly lease: Pick<Lease, "isValid">;
}): Health {
  const { server, lease } = parts;
  let isClosing = false;
  let isStalled = false;
  const show = () => server.setServing(lease.isValid() && !isStalled && !isClosing);
  return {
    get isClosing() {
      return isClosing;
    },
    show,
    setProgress: (isMade) => {
      isStalled = !isMade;
      show();
    },
    startClosing: () => {
      isClosing = true;
    },
  };
}
