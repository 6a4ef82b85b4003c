import { describe, expect, test } from "vitest";
import { B, KAFKA, T0, usePlugins } from "../testing/plugin-calls.ts";
import type { PluginParts } from "./parts.ts";
import { createReconciler } from "./reconcile.ts";

const plugins = usePlugins();
const { enable, rowOf, usersOf, look, away } = plugins;

describe("the loop", () => {
  test("sets an enabled plugin up again after a minute, because a Redis forgets its users", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    plugins.bench.spaces.clear();
    plugins.bench.nowMs += 60_000;
    await look();
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("sets all plugins up again as soon as the Redis is another run, and only then", async () => {
    plugins.bench.nowMs = T0;
    plugins.bench.redisRun = "run-1";
    await enable();
    await enable(B);
    const reconciler = createReconciler(plugins.bench.parts);
    const lookTwice = async () => {
      plugins.bench.spaces.clear();
      plugins.bench.nowMs = (plugins.bench.nowMs ?? 0) + 2_000;
      await reconciler.look();
      await reconciler.untilIdle();
      await reconciler.look();
      await reconciler.untilIdle();
      return [...plugins.bench.spaces.keys()].toSorted();
    };
    const all = ["REDIS proj_a", "REDIS proj_b"];
    // A gateway that has just been started does not know which run it was.
    expect(await lookTwice()).toEqual(all);
    expect(await lookTwice()).toEqual([]);
    plugins.bench.redisRun = "run-2";
    expect(await lookTwice()).toEqual(all);
    // Another process of plugin delivery has not noticed yet. A Redis that does not tell is not new.
    plugins.bench.redisRun = "run-1";
    expect(await lookTwice()).toEqual([]);
    plugins.bench.redisRun = "";
    expect(await lookTwice()).toEqual([]);
    const told = plugins.bench.logged.filter(({ message }) => message.startsWith("the broker was restarted"));
    expect(told.map(({ fields }) => fields)).toEqual([{ kind: "REDIS", plugins: 2 }]);
  });

  test("lets customers only read while the limits are used up, and write again below 90 %", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    const use = async (bytes: bigint, keys = 1n) => {
      plugins.bench.usage.set("proj_a", { bytes, keys });
      plugins.bench.nowMs = (plugins.bench.nowMs ?? 0) + 60_000;
      await look();
      await look();
      return plugins.bench.spaces.get("REDIS proj_a")?.request.isReadOnly;
    };
    expect(await use(999n)).toBe(false);
    expect(await use(1_000n)).toBe(true);
    const { state, state_reason: reason, used_bytes: used } = await rowOf();
    expect([state, used]).toEqual(["ENABLED", 1_000]);
    expect(reason).toMatch(/^The limits are used up: 1000 of 1000 bytes, 1 of 100 keys\./);
    expect(await use(900n)).toBe(true);
    expect(await use(899n)).toBe(false);
    expect((await rowOf()).state_reason).toBe("");
    expect(await use(1n, 100n)).toBe(true);
  });

  test("does not wait for a broker that does not answer before it works on the other kind", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    await enable(KAFKA);
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    plugins.bench.before.REDIS = async () => {
      asked.resolve();
      await answer.promise;
    };
    plugins.bench.spaces.clear();
    plugins.bench.nowMs += 600_000;
    const reconciler = createReconciler(plugins.bench.parts);
    await reconciler.look();
    await asked.promise;
    await expect.poll(() => plugins.bench.spaces.has("KAFKA proj_a")).toBe(true);
    expect(plugins.bench.spaces.has("REDIS proj_a")).toBe(false);
    answer.resolve();
    await reconciler.untilIdle();
    expect(plugins.bench.spaces.has("REDIS proj_a")).toBe(true);
  });

  test("goes on with other projects while one fails, and waits longer after each failure", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    await enable(B);
    plugins.bench.spaces.clear();
    let failures = 0;
    plugins.bench.before.REDIS = async (method, projectId) => {
      if (method !== "provision" || projectId !== "proj_a") return;
      failures += 1;
      throw away();
    };
    plugins.bench.nowMs += 60_000;
    for (let second = 0; second < 60; second++) {
      await look();
      plugins.bench.nowMs += 1_000;
    }
    expect(usersOf(B)).toEqual(["proj_b-1"]);
    // After 1, 2, 4, 8, 16 and 30 s, each up to 20 % sooner or later.
    expect(failures).toBeGreaterThanOrEqual(5);
    expect(failures).toBeLessThanOrEqual(8);
    expect(await rowOf()).toMatchObject({ state: "ENABLED", failures });
    const warnings = plugins.bench.logged.filter(({ message }) =>
      message.startsWith("a step of a plugin failed"),
    );
    expect(warnings).toHaveLength(1);
  });

  test("of two gateways works on each plugin once", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    await enable(B);
    plugins.bench.nowMs += 60_000;
    const asked: string[] = [];
    plugins.bench.before.REDIS = async (method, projectId) => void asked.push(`${method} ${projectId}`);
    const gateways = [createReconciler(plugins.bench.parts), createReconciler(plugins.bench.parts)];
    await Promise.all(gateways.map((each) => each.look()));
    await Promise.all(gateways.map((each) => each.untilIdle()));
    expect(asked.filter((each) => each.startsWith("provision")).toSorted()).toEqual([
      "provision proj_a",
      "provision proj_b",
    ]);
    const measured = asked
      .filter((each) => each.startsWith("measure"))
      .flatMap((each) => each.slice(8).split(","));
    expect(new Set(measured).size).toBe(measured.length);
  });

  test("makes one statement and no call when nothing is due", async () => {
    const asked: string[] = [];
    const query: PluginParts["database"]["query"] = (...given) => {
      asked.push(given[0].name);
      return plugins.bench.pool.query(...given);
    };
    plugins.parts = { ...plugins.bench.parts, database: { ...plugins.bench.pool, query } };
    await look();
    expect(asked).toEqual(["pluginsDue"]);
  });
});
