import { randomUUID } from "node:crypto";
import type { Wanted } from "../../mesh/loop.ts";
import type { InternalRedis } from "./internal-redis.ts";
import { script } from "./script.ts";

/**
 * Which of the processes of a service does the work that only one of them need do, such as making partitions. Two leaders
 * at once do no harm: that the work is done rightly must not depend on this, but on PostgreSQL.
 */
export interface Leadership {
  /** Tells whether this process does the work now. It becomes the leader if there is none. Never rejects. */
  leads(): Promise<boolean>;
  /**
   * Gives the work up for a while because this process cannot do it, so that another one tries. While Redis is away, this
   * changes nothing. Never rejects.
   */
  giveUp(): Promise<void>;
  /** Whether this process has given the work up and does not take it yet, even if nobody does it. */
  isResting(): boolean;
  /** Gives the work up, so that another process can take it at once. */
  close(): Promise<void>;
}

/** The leadership without an internal Redis: each process does the work. */
export const everyProcessLeads: Leadership = {
  leads: async () => true,
  giveUp: async () => {},
  isResting: () => false,
  close: async () => {},
};

/** How long a leader that was killed is still the leader. It renews its lock three times meanwhile. */
const LEADER_MS = 10_000;
/** After this time a process that does not lead asks again. So the work rests for 25 s at most. */
const ASK_AGAIN_MS = 15_000;

/** Key 1: the leader. Arguments: 1 this process, 2 how long it leads, in milliseconds. Returns 1 if it leads. */
const TAKE_OR_RENEW = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`);

/** Key 1: the leader. Argument 1: this process. Ends its leadership, and no other's. */
const RELEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

/**
 * Shares the work of a service between its processes by a lock in the internal Redis. A leader renews its lock. That of a process
 * that was killed ends after `leaderMs`. One that has given the work up does not take it again for so long. While Redis is
 * away, each process leads.
 */
export function createLeadership(
  redis: InternalRedis,
  service: string,
  { leaderMs = LEADER_MS, elapsedMs = () => performance.now() } = {},
): Leadership {
  const keys = [`easycron:leader:${service}`];
  const token = randomUUID();
  let led = false;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  const release = async (): Promise<void> => {
    // If this fails, the lock ends by itself.
    if (led) await redis.run(RELEASE, keys, [token]).catch(() => {});
    led = false;
  };
  const take = async (): Promise<boolean> => {
    try {
      led = (await redis.run(TAKE_OR_RENEW, keys, [token, leaderMs])) === 1;
    } catch {
      // The connection has logged it.
      return true;
    }
    return led;
  };
  const renewing = setInterval(() => {
    if (led) void take();
  }, leaderMs / 3).unref();
  const isResting = () => elapsedMs() < notBeforeMs;
  return {
    isResting,
    leads: async () => {
      await redis.untilKnown();
      if (isResting() && redis.isUp()) return false;
      return take();
    },
    giveUp: async () => {
      notBeforeMs = elapsedMs() + leaderMs;
      await release();
    },
    close: async () => {
      clearInterval(renewing);
      await release();
    },
  };
}

/**
 * Returns work that is done while this process leads. A process that does not lead asks again every 15 s. One whose work
 * fails gives it up, and throws the error. From then on its runs are idle until it asks again, because they do not show that the
 * work succeeds again. If another process leads then, the work is that one's.
 */
export function ifLeader(
  leadership: Pick<Leadership, "leads" | "giveUp" | "isResting">,
  work: () => Promise<Wanted>,
): () => Promise<Wanted> {
  let hasFailed = false;
  return async () => {
    if (!(await leadership.leads())) {
      hasFailed &&= leadership.isResting();
      return { more: false, againMs: ASK_AGAIN_MS, isIdle: hasFailed };
    }
    try {
      const wanted = await work();
      hasFailed = false;
      return wanted;
    } catch (error) {
      hasFailed = true;
      await leadership.giveUp();
      throw error;
    }
  };
}
