import { ConfigError } from "../mesh/config.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Health } from "./health.ts";
import type { Lease } from "./instances/lease.ts";
import type { Pipeline } from "./pipeline.ts";

/**
 * Makes the work that renews the lease, reports the health anew, and lets the pipeline go on. If the master key was
 * replaced by one that this process does not have, it calls `endProcess`. Throws what `Lease.renew` throws.
 */
export function createRenewal(parts: {
  readonly lease: Lease;
  readonly health: Health;
  readonly pipeline: Pipeline;
  readonly logger: Logger;
  readonly endProcess: (error: ConfigError) => void;
}): () => Promise<void> {
  const { lease, health, pipeline, logger, endProcess } = parts;
  const endIfMisconfigured = (error: unknown) => {
    if (error instanceof ConfigError) {
      const message = "the master key was replaced by one that this dispatcher does not have; ending";
      logger.error({ err: error }, message);
      endProcess(error);
    }
    throw error;
  };
  return async () => {
    await lease.renew().catch(endIfMisconfigured).finally(health.show);
    pipeline.proceed();
  };
}
