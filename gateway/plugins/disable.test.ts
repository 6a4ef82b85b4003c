import { describe, expect, test } from "vitest";
import { DAY_MS, T0, usePlugins } from "../testing/plugin-calls.ts";
import { readJobPlugins } from "./job-plugins.ts";

const plugins = usePlugins();
const { enable, disable, rowOf, usersOf, validOf, look, away } = plugins;

describe("DisablePlugin", () => {
  test("refuses while jobs have it as target, with their count and names, and nothing has changed", async () => {
    await enable();
    plugins.bench.jobs.push({ name: "x", isPaused: false }, { name: "y", isPaused: true });
    await expect(disable()).rejects.toMatchObject({
      reason: "PLUGIN_IN_USE",
      metadata: { count: "2", jobs: "x, y" },
    });
    expect(await rowOf()).toMatchObject({ state: "ENABLED", data_remove_time: null, state_reason: "" });
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("pauses the jobs if it is forced, takes the access away, and removes the data when the grace is over", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    plugins.bench.jobs.push({ name: "x", isPaused: false });
    const { row, pausedJobs } = await disable(true, 60_000);
    expect(pausedJobs).toBe(1);
    expect(row).toMatchObject({ state: "DISABLED", data_remove_time: T0 + 60_000, is_data_removed: false });
    expect(usersOf()).toEqual([]);
    expect(await validOf()).toEqual([]);
    expect((await disable()).row.data_remove_time).toBe(T0 + 60_000);
    // A job that was accepted while the plugin was being disabled.
    plugins.bench.jobs.push({ name: "late", isPaused: false });
    plugins.bench.nowMs = T0 + 15_000;
    await look();
    expect(plugins.bench.jobs).toEqual([
      { name: "x", isPaused: true },
      { name: "late", isPaused: true },
    ]);
    expect(plugins.bench.removed).toEqual([]);
    plugins.bench.nowMs = T0 + 60_000;
    await look();
    expect(plugins.bench.removed).toEqual(["REDIS proj_a"]);
    expect(await rowOf()).toMatchObject({ state: "DISABLED", is_data_removed: true });
    plugins.bench.nowMs += DAY_MS;
    await look();
    expect(plugins.bench.removed).toHaveLength(1);
  });

  test("is taken back by EnablePlugin in the grace, which keeps the data and makes new credentials", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    await disable(false, 60_000);
    // A job that is resumed must not fill what nobody measures.
    const isReadOnly = () => plugins.bench.spaces.get("REDIS proj_a")?.request.isReadOnly;
    expect(isReadOnly()).toBe(true);
    const { row, credentials } = await enable();
    expect(isReadOnly()).toBe(false);
    expect(row).toMatchObject({ state: "ENABLED", data_remove_time: null });
    expect(credentials?.username).toBe("proj_a-2");
    plugins.bench.nowMs += DAY_MS;
    await look();
    expect(plugins.bench.removed).toEqual([]);
    expect(usersOf()).toEqual(["proj_a-2"]);
  });

  test("shows DISABLING while the broker is away, refuses jobs, and the loop finishes it", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    plugins.bench.before.REDIS = async () => {
      throw away();
    };
    await expect(disable()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(await rowOf()).toMatchObject({ state: "DISABLING", failures: 1 });
    expect(await readJobPlugins(plugins.bench.pool, "proj_a")).toEqual({
      redis: { state: "DISABLING", isUsable: false },
    });
    delete plugins.bench.before.REDIS;
    plugins.bench.nowMs += 60_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "DISABLED" });
    expect(usersOf()).toEqual([]);
  });
});
