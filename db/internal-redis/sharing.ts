import type { Logger } from "../../mesh/logger.ts";
import { type InternalRedis, openInternalRedis } from "./internal-redis.ts";
import { createLeadership, everyProcessLeads, type Leadership } from "./leadership.ts";
import { createLocalSeen, createSharedSeen, type Seen } from "./seen.ts";

/** What the processes of a service share through the internal Redis. */
export interface Sharing {
  /** Undefined if none is configured. Each process then has its own limits. */
  readonly redis: InternalRedis | undefined;
  readonly leadership: Leadership;
  readonly seen: Seen;
  /** Gives the leadership up and closes the connection. Takes less than a second. Never rejects. */
  close(): Promise<void>;
}

/** Opens what the processes of a service share. Returns at once, whether Redis is there or not. */
export function openSharing(options: {
  readonly url: string | undefined;
  readonly service: string;
  readonly logger: Logger;
}): Sharing {
  const { url, service, logger } = options;
  if (url === undefined) {
    const close = () => everyProcessLeads.close();
    return { redis: undefined, leadership: everyProcessLeads, seen: createLocalSeen(), close };
  }
  const redis = openInternalRedis({ url, service, logger });
  const leadership = createLeadership(redis, service);
  return {
    redis,
    leadership,
    seen: createSharedSeen(redis),
    close: async () => {
      await leadership.close();
      redis.close();
    },
  };
}
