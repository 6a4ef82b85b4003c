import { createFairCache } from "../target-secrets/fair-cache.ts";
import type { TokenClient } from "./fetch-token.ts";
import type { AccessToken } from "./token-answer.ts";
import { TokenFailed } from "./token-failed.ts";

/** Whose token: the project, and its client of a token endpoint. */
export interface TokenKey {
  readonly projectId: string;
  readonly client: TokenClient;
}

/** A cache of access tokens. */
export interface AccessTokens {
  /**
   * Returns a token that can be used now. Calls about the same key at the same time share one fetch, and one that failed
   * is not repeated for FAILURE_MS. A token that soon expires is fetched anew while it is still used. Rejects with
   * TokenFailed, or with the error of reading the client's secret.
   */
  get(key: TokenKey, readSecret: () => Promise<string>): Promise<string>;
  /**
   * Returns another token in place of one that a target has refused with 401. Undefined if the refused one was fetched
   * less than MIN_AGE_MS ago: a target that refuses every token would have one fetched for each attempt. Undefined also
   * for FAILURE_MS after a fetch that failed. The refused token stays until there is another, because other targets may
   * take it. Rejects like `get`.
   */
  replace(key: TokenKey, refused: string, readSecret: () => Promise<string>): Promise<string | undefined>;
}

/** What the cache needs. */
export interface AccessTokensParts {
  /** Fetches a token. It must settle in bounded time. */
  readonly fetch: (client: TokenClient, secret: string) => Promise<AccessToken>;
  /** A clock that never steps, in milliseconds. */
  readonly monotonicMs: () => number;
  /** Rough size of all tokens. When it is reached, a project that has much loses the tokens that it fetched first. */
  readonly maxBytes: number;
}

/** How long attempts get the failure of a fetch without another fetch. It is shorter than any pause between attempts. */
export const FAILURE_MS = 500;
/** A token that is younger is not replaced because a target refuses it. */
export const MIN_AGE_MS = 10_000;
/** A token is no longer used this long before it expires, or a tenth of its lifetime before, if that is shorter. */
const MARGIN_MS = 30_000;
/** Rough size of an entry without its texts, beside what `createFairCache` counts. */
const BASE_BYTES = 100;

interface Entry {
  readonly result: AccessToken | TokenFailed;
  readonly endMs: number;
  /** From then on it is fetched anew while it is used. */
  renewMs: number;
  /** From then on it is fetched anew when a target refuses it. */
  replaceMs: number;
  readonly bytes: number;
}

/** Makes an empty cache. */
export function createAccessTokens({ fetch, monotonicMs, maxBytes }: AccessTokensParts): AccessTokens {
  const known = createFairCache<Entry>(maxBytes, ({ bytes }) => bytes);
  const fetching = new Map<string, Promise<string>>();

  const fetchOnce = (
    { projectId, client }: TokenKey,
    name: string,
    readSecret: () => Promise<string>,
  ): Promise<string> => {
    const running = fetching.get(name);
    if (running !== undefined) return running;
    const askedMs = monotonicMs();
    const started = readSecret()
      .then((secret) => fetch(client, secret))
      .then(
        (fetched) => {
          known.set(projectId, name, toEntry(name, fetched, askedMs));
          return fetched.token;
        },
        (error: unknown) => {
          const entry = known.get(projectId, name);
          const nowMs = monotonicMs();
          // A token that is still valid is worth more than a failure.
          if (entry !== undefined && isUsable(entry, nowMs)) postpone(entry, nowMs + FAILURE_MS);
          else if (error instanceof TokenFailed) known.set(projectId, name, toEntry(name, error, nowMs));
          throw error;
        },
      )
      .finally(() => fetching.delete(name));
    fetching.set(name, started);
    return started;
  };

  return {
    get: async (key, readSecret) => {
      const name = nameOf(key);
      const entry = known.get(key.projectId, name);
      const nowMs = monotonicMs();
      if (entry === undefined || entry.endMs <= nowMs) return fetchOnce(key, name, readSecret);
      if (entry.result instanceof TokenFailed) throw entry.result;
      // If this fails, it is tried again with the next attempt.
      if (entry.renewMs <= nowMs) fetchOnce(key, name, readSecret).catch(() => {});
      return entry.result.token;
    },
    replace: async (key, refused, readSecret) => {
      const name = nameOf(key);
      const entry = known.get(key.projectId, name);
      if (entry === undefined) return fetchOnce(key, name, readSecret);
      const { result, replaceMs } = entry;
      if (!(result instanceof TokenFailed) && result.token !== refused) return result.token;
      return monotonicMs() < replaceMs ? undefined : fetchOnce(key, name, readSecret);
    },
  };
}

function postpone(entry: Entry, untilMs: number): void {
  entry.renewMs = untilMs;
  entry.replaceMs = Math.max(entry.replaceMs, untilMs);
}

function isUsable(entry: Entry, nowMs: number): boolean {
  return !(entry.result instanceof TokenFailed) && entry.endMs > nowMs;
}

function toEntry(name: string, result: Entry["result"], fetchedMs: number): Entry {
  const size = BASE_BYTES + name.length;
  if (result instanceof TokenFailed) {
    const endMs = fetchedMs + FAILURE_MS;
    return { result, endMs, renewMs: endMs, replaceMs: endMs, bytes: size + result.message.length };
  }
  const margin = Math.min(MARGIN_MS, result.lifetimeMs / 10);
  const endMs = fetchedMs + result.lifetimeMs - margin;
  const replaceMs = fetchedMs + MIN_AGE_MS;
  return { result, endMs, renewMs: endMs - margin, replaceMs, bytes: size + result.token.length };
}

function nameOf({ projectId, client: { origin, path, clientId, secretId, scopes } }: TokenKey): string {
  return JSON.stringify([projectId, origin, path, clientId, secretId, scopes]);
}
