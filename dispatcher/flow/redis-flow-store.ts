import { randomUUID } from "node:crypto";
import type { InternalRedis } from "../../db/internal-redis/internal-redis.ts";
import { HOLD, TAKE } from "./flow-scripts.ts";
import {
  BURST_MS,
  type FlowAnswer,
  type FlowRequest,
  type FlowStore,
  MAX_REQUESTS,
  PLACE_LEASE_MS,
} from "./flow-store.ts";
import { createLocalFlowStore } from "./local-flow-store.ts";

/** What a shared store needs. */
export interface RedisFlowStoreParts {
  readonly redis: InternalRedis;
  /** For tests: the time in milliseconds, in place of the server's. */
  readonly nowMs?: () => number;
}

/** Places are renewed so often that two renewals may fail. */
const RENEW_EVERY_MS = PLACE_LEASE_MS / 4;
const CLOSE_LIMIT_MS = 1_000;

interface State {
  readonly parts: RedisFlowStoreParts;
  /** This process, in Redis. */
  readonly me: string;
  /** How many places this process holds, by key. Redis is told these numbers, not changes of them. */
  readonly held: Map<string, number>;
  /** Keys of which Redis is to be told that there are fewer places held. */
  readonly released: Set<string>;
  /** Decides while Redis is away. */
  local: FlowStore | undefined;
  /** Ends when what was begun before has ended. Each script has the numbers that the one before has left. */
  last: Promise<void>;
  isTelling: boolean;
}

/**
 * Makes a store that all dispatchers with the same internal Redis share. While Redis is away, it decides by what this
 * process alone holds and has started; each process then has the whole limit for itself. When Redis is back, all processes
 * tell it what they hold.
 *
 * It knows what this process holds, and each of its scripts says so. So numbers that were lost (FLUSHALL), or an answer
 * that never came, are set right by the next script for the key, or within PLACE_LEASE_MS.
 */
export function createRedisFlowStore(parts: RedisFlowStoreParts): FlowStore {
  const state: State = {
    parts,
    me: randomUUID(),
    held: new Map(),
    released: new Set(),
    local: undefined,
    last: Promise.resolve(),
    isTelling: false,
  };
  const renew = () => sendInTurn(state, () => [...state.held.keys()]);
  const renewing = setInterval(renew, RENEW_EVERY_MS).unref();
  parts.redis.onBack(renew);
  return {
    take: (requests) => inTurn(state, () => take(state, requests)),
    release: (releases) => {
      state.local?.release(releases);
      for (const { key, count } of releases) {
        const left = (state.held.get(key) ?? 0) - count;
        if (left > 0) state.held.set(key, left);
        else state.held.delete(key);
        state.released.add(key);
      }
      tellReleased(state);
    },
    close: async () => {
      clearInterval(renewing);
      const keys = [...state.held.keys()];
      state.held.clear();
      const told = inTurn(state, () => tell(state, keys));
      await Promise.race([told, new Promise((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS).unref())]);
    },
  };
}

/** Runs work when what was begun before has ended. The work never rejects, and each takes less than a second. */
function inTurn<T>(state: State, work: () => Promise<T>): Promise<T> {
  const done = state.last.then(work);
  state.last = done.then(() => undefined);
  return done;
}

async function take(state: State, requests: readonly FlowRequest[]): Promise<readonly FlowAnswer[]> {
  const { parts, held } = state;
  const answers = parts.redis.isUp() ? await ask(state, requests) : undefined;
  if (answers !== undefined) state.local = undefined;
  const given = answers ?? (await (await localOf(state)).take(requests));
  for (const [index, { granted }] of given.entries()) {
    const key = requests[index]?.key;
    if (key !== undefined && granted > 0) held.set(key, (held.get(key) ?? 0) + granted);
  }
  return given;
}

/** Asks Redis. Returns undefined if it cannot answer. */
async function ask(state: State, requests: readonly FlowRequest[]): Promise<FlowAnswer[] | undefined> {
  const { held, released } = state;
  const own = requests.flatMap(({ key, limits, wanted }) => [
    held.get(key) ?? 0,
    wanted,
    limits.maxInFlight ?? -1,
    limits.ratePerSecond === undefined ? 0 : 1_000 / limits.ratePerSecond,
  ]);
  const keys = requests.map(({ key }) => toRedisKey(key));
  for (const { key } of requests) released.delete(key);
  try {
    const numbers = await state.parts.redis.run(TAKE, keys, [...argumentsOf(state), BURST_MS, ...own]);
    if (!Array.isArray(numbers) || numbers.length !== 2 * requests.length) return undefined;
    return requests.map((_, index) => ({
      granted: Number(numbers[2 * index]),
      againMs: Number(numbers[2 * index + 1]),
    }));
  } catch {
    // The connection has logged it. If the server has granted starts all the same, the next script takes them back.
    return undefined;
  }
}

/** Returns the store that decides while Redis is away. It begins with the places that are held. */
async function localOf(state: State): Promise<FlowStore> {
  if (state.local !== undefined) return state.local;
  const local = createLocalFlowStore();
  const limits = { maxInFlight: undefined, ratePerSecond: undefined };
  await local.take(Array.from(state.held, ([key, wanted]) => ({ key, limits, wanted })));
  state.local = local;
  return local;
}

/** Tells Redis of releases, as soon as what is under way has ended: of all that have come until then with one script. */
function tellReleased(state: State): void {
  if (state.isTelling) return;
  state.isTelling = true;
  sendInTurn(state, () => {
    state.isTelling = false;
    const keys = [...state.released];
    // If Redis is away, what it holds for this process ends by itself.
    state.released.clear();
    return keys;
  });
}

/** Tells Redis how many places of the keys are held. What follows need not wait for the answer: Redis keeps the order. */
function sendInTurn(state: State, keysOf: () => readonly string[]): void {
  void inTurn(state, async () => void tell(state, keysOf()));
}

/** Tells Redis how many places of these keys this process holds. */
async function tell(state: State, keys: readonly string[]): Promise<void> {
  const { parts, held } = state;
  if (!parts.redis.isUp()) return;
  const told: Promise<unknown>[] = [];
  for (let first = 0; first < keys.length; first += MAX_REQUESTS) {
    const some = keys.slice(first, first + MAX_REQUESTS);
    const counts = some.map((key) => held.get(key) ?? 0);
    told.push(parts.redis.run(HOLD, some.map(toRedisKey), [...argumentsOf(state), ...counts]));
  }
  // What fails has been logged by the connection. When Redis is back, it is told again.
  await Promise.allSettled(told);
}

function argumentsOf({ me, parts }: State): [string, string | number, number] {
  return [me, parts.nowMs?.() ?? "", PLACE_LEASE_MS];
}

/** The project is the hash tag: all keys of a project are in one slot. */
function toRedisKey(key: string): string {
  const end = key.indexOf(" ");
  return `easycron:flow:{${key.slice(0, end)}}:${key.slice(end + 1)}`;
}
