import { beforeEach, describe, expect, test } from "vitest";
import { createAccessTokens, FAILURE_MS, MIN_AGE_MS, type TokenKey } from "./access-tokens.ts";
import type { TokenClient } from "./fetch-token.ts";
import { TokenFailed } from "./token-failed.ts";

const CLIENT: TokenClient = {
  origin: "https://id.example.com",
  path: "/token",
  clientId: "c",
  secretId: "sec_1",
  scopes: ["a"],
};
const KEY: TokenKey = { projectId: "proj_a", client: CLIENT };
const readSecret = async () => "secret";

let nowMs: number;
let fetches: number;
let isFailing: boolean;
beforeEach(() => {
  nowMs = 0;
  fetches = 0;
  isFailing = false;
});

function createCache(lifetimeMs = 3_600_000, maxBytes = 1_000_000) {
  return createAccessTokens({
    fetch: async () => {
      fetches += 1;
      if (isFailing) throw new TokenFailed("Closed on Mondays.");
      return { token: `tok-${fetches}`, lifetimeMs };
    },
    monotonicMs: () => nowMs,
    maxBytes,
  });
}

describe("a token", () => {
  test("is fetched once for calls at the same time, and kept until a margin before its end", async () => {
    const tokens = createCache();
    const get = () => tokens.get(KEY, readSecret);
    expect(await Promise.all([get(), get()])).toEqual(["tok-1", "tok-1"]);
    nowMs = 3_600_000 - 60_001;
    expect(await get()).toBe("tok-1");
    expect(fetches).toBe(1);
    // Soon it expires, so it is fetched anew while it is still used.
    nowMs += 1;
    expect(await get()).toBe("tok-1");
    await new Promise(setImmediate);
    expect(await get()).toBe("tok-2");
    nowMs += 3_600_000 - 30_000;
    expect(await get()).toBe("tok-3");
  });

  test.each<[string, TokenKey]>([
    ["project", { ...KEY, projectId: "proj_b" }],
    ["origin", { ...KEY, client: { ...CLIENT, origin: "https://other.example.com" } }],
    ["path", { ...KEY, client: { ...CLIENT, path: "/other" } }],
    ["client", { ...KEY, client: { ...CLIENT, clientId: "d" } }],
    ["secret", { ...KEY, client: { ...CLIENT, secretId: "sec_2" } }],
    ["scopes", { ...KEY, client: { ...CLIENT, scopes: ["a", "b"] } }],
  ])("is not used for another %s", async (_, other) => {
    const tokens = createCache();
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
    expect(await tokens.get(other, readSecret)).toBe("tok-2");
  });

  test("is used once if its lifetime is 0", async () => {
    const tokens = createCache(0);
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
    expect(await tokens.get(KEY, readSecret)).toBe("tok-2");
  });

  test("leaves the cache when that is full", async () => {
    const tokens = createCache(3_600_000, 1_000);
    const keyOf = (projectId: string) => ({ ...KEY, projectId });
    for (const name of ["a", "b", "c"]) await tokens.get(keyOf(name), readSecret);
    expect(await tokens.get(keyOf("c"), readSecret)).toBe("tok-3");
    expect(await tokens.get(keyOf("a"), readSecret)).toBe("tok-4");
  });

  test("stays in the cache when another project has many", async () => {
    const tokens = createCache(3_600_000, 2_000);
    await tokens.get(KEY, readSecret);
    for (let n = 0; n < 20; n++) {
      const client = { ...CLIENT, secretId: `sec_b${n}` };
      await tokens.get({ projectId: "proj_b", client }, readSecret);
    }
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
  });
});

describe("a fetch that fails", () => {
  test("is not repeated at once, and is forgotten soon", async () => {
    const tokens = createCache();
    isFailing = true;
    await expect(tokens.get(KEY, readSecret)).rejects.toThrow("Closed on Mondays.");
    nowMs = FAILURE_MS - 1;
    await expect(tokens.get(KEY, readSecret)).rejects.toThrow("Closed on Mondays.");
    expect(fetches).toBe(1);
    nowMs = FAILURE_MS;
    isFailing = false;
    expect(await tokens.get(KEY, readSecret)).toBe("tok-2");
  });

  test("does not cost the token that is still valid, nor is it repeated at once", async () => {
    const tokens = createCache();
    await tokens.get(KEY, readSecret);
    nowMs = 3_600_000 - 45_000;
    isFailing = true;
    for (let count = 0; count < 3; count += 1) {
      expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
      await new Promise(setImmediate);
    }
    expect(fetches).toBe(2);
  });

  test("is repeated if the secret could not be read", async () => {
    const tokens = createCache();
    const broken = () => Promise.reject(new Error("no secret"));
    await expect(tokens.get(KEY, broken)).rejects.toThrow("no secret");
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
  });
});

describe("a token that the target refuses", () => {
  test("is replaced once for all attempts that used it", async () => {
    const tokens = createCache();
    await tokens.get(KEY, readSecret);
    nowMs = MIN_AGE_MS;
    const replace = () => tokens.replace(KEY, "tok-1", readSecret);
    expect(await Promise.all([replace(), replace()])).toEqual(["tok-2", "tok-2"]);
    expect(await replace()).toBe("tok-2");
    expect(await tokens.get(KEY, readSecret)).toBe("tok-2");
    expect(fetches).toBe(2);
  });

  test("is not replaced while it is young", async () => {
    const tokens = createCache();
    await tokens.get(KEY, readSecret);
    nowMs = MIN_AGE_MS - 1;
    expect(await tokens.replace(KEY, "tok-1", readSecret)).toBeUndefined();
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
  });

  test("stays when no other can be fetched, and fetching is not repeated at once", async () => {
    const tokens = createCache();
    await tokens.get(KEY, readSecret);
    nowMs = MIN_AGE_MS;
    isFailing = true;
    const replace = () => tokens.replace(KEY, "tok-1", readSecret);
    await expect(replace()).rejects.toThrow("Closed on Mondays.");
    expect(await tokens.get(KEY, readSecret)).toBe("tok-1");
    expect(await replace()).toBeUndefined();
    expect(fetches).toBe(2);
    nowMs += FAILURE_MS;
    isFailing = false;
    expect(await replace()).toBe("tok-3");
  });

  test("is not replaced at once when fetching has failed after its end", async () => {
    const tokens = createCache(0);
    await tokens.get(KEY, readSecret);
    isFailing = true;
    await expect(tokens.get(KEY, readSecret)).rejects.toThrow("Closed on Mondays.");
    expect(await tokens.replace(KEY, "tok-1", readSecret)).toBeUndefined();
    expect(fetches).toBe(2);
    nowMs += FAILURE_MS;
    isFailing = false;
    expect(await tokens.replace(KEY, "tok-1", readSecret)).toBe("tok-3");
  });

  test("is not replaced while it is young, although renewing it has failed", async () => {
    const tokens = createCache(10_000);
    await tokens.get(KEY, readSecret);
    nowMs = 8_500;
    isFailing = true;
    await tokens.get(KEY, readSecret);
    await new Promise(setImmediate);
    expect(fetches).toBe(2);
    nowMs += FAILURE_MS;
    expect(await tokens.replace(KEY, "tok-1", readSecret)).toBeUndefined();
  });
});
