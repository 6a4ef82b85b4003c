import { createHash } from "node:crypto";
import type { InternalRedis } from "./internal-redis.ts";
import { script } from "./script.ts";

/**
 * Remembers for a while what was done, such as request ids. It is a hint, which may be wrong both ways: what it has seen is
 * worth a look in PostgreSQL before anything is done again, and PostgreSQL decides.
 */
export interface Seen {
  /** Tells whether something was noted lately, as far as is known. Waits 0.4 s at most. Never rejects. */
  has(subject: readonly string[]): Promise<boolean>;
  /** Notes something. Does not wait and never throws. */
  note(subject: readonly string[]): void;
}

/** How long something is remembered. Most calls are repeated within seconds. */
const SEEN_MS = 600_000;
/** Most things that a process remembers; the oldest goes first. Each takes about 120 bytes. */
const MOST = 20_000;

const HAS = script("return redis.call('EXISTS', KEYS[1])");
const NOTE = script("return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])");

/** Makes a memory of this process alone. `elapsedMs` is a clock that never steps. */
export function createLocalSeen(elapsedMs = () => performance.now()): Seen {
  const ends = new Map<string, number>();
  return {
    has: async (subject) => (ends.get(digest(subject)) ?? 0) > elapsedMs(),
    note: (subject) => {
      const key = digest(subject);
      ends.delete(key);
      ends.set(key, elapsedMs() + SEEN_MS);
      for (const oldest of ends.keys()) {
        if (ends.size <= MOST) break;
        ends.delete(oldest);
      }
    },
  };
}

/** Makes a memory that all processes with the same internal Redis share. While Redis is away, each has its own. */
export function createSharedSeen(redis: InternalRedis): Seen {
  const local = createLocalSeen();
  const keyOf = (subject: readonly string[]) => [`easycron:seen:${digest(subject)}`];
  return {
    has: async (subject) => {
      if ((await local.has(subject)) || !redis.isUp()) return local.has(subject);
      // The connection logs what fails.
      return redis.run(HAS, keyOf(subject), []).then(
        (count) => count === 1,
        () => false,
      );
    },
    note: (subject) => {
      local.note(subject);
      if (redis.isUp()) redis.run(NOTE, keyOf(subject), [SEEN_MS]).catch(() => {});
    },
  };
}

// A digest needs the same memory for each subject, and a customer's text gets to no key.
function digest(subject: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(subject)).digest("base64url").slice(0, 24);
}
