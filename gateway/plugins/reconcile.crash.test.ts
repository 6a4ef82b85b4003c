import { describe, expect, test } from "vitest";
import { A, B, DAY_MS, T0, usePlugins } from "../testing/plugin-calls.ts";
import type { PluginStep } from "./parts.ts";

const plugins = usePlugins();
const { enable, rotate, disable, rowOf, usersOf, validOf, look, dieAt } = plugins;

describe("a process that dies", () => {
  test.each<PluginStep>(["enable: row written", "enable: provisioned", "enable: finished"])(
    "at the step %j leaves nothing half-made, after the loop or after the repeated call",
    async (step) => {
      plugins.bench.nowMs = T0;
      for (const [name, finish] of [
        [A, look],
        [B, () => enable(B)],
      ] as const) {
        await dieAt(step, () => enable(name));
        plugins.bench.nowMs += 15_000;
        await finish();
        expect(await rowOf(name)).toMatchObject({ state: "ENABLED" });
        // A user is there exactly if its credentials are in the database.
        expect(usersOf(name)).toEqual(await validOf(name));
      }
    },
  );

  test.each<PluginStep>(["rotate: row written", "rotate: provisioned"])(
    "at the step %j leaves the old credentials valid, without an end",
    async (step) => {
      plugins.bench.nowMs = T0;
      await enable();
      await dieAt(step, () => rotate(1_000));
      plugins.bench.nowMs += DAY_MS;
      await look();
      expect(usersOf()).toEqual(["proj_a-1"]);
      expect(await rowOf()).toMatchObject({ state: "ENABLED" });
      expect((await rotate()).credentials.username).toBe("proj_a-3");
      expect(usersOf()).toEqual(["proj_a-1", "proj_a-3"]);
    },
  );

  test.each<PluginStep>([
    "disable: row written",
    "disable: jobs paused",
    "disable: cut off",
    "disable: provisioned",
    "disable: finished",
    "remove: removed",
    "remove: finished",
  ])("at the step %j of DisablePlugin leaves no user and no data", async (step) => {
    plugins.bench.nowMs = T0;
    await enable();
    plugins.bench.jobs.push({ name: "x", isPaused: false });
    if (step.startsWith("disable")) await dieAt(step, () => disable(true, 0));
    else {
      await disable(true, 0);
      await dieAt(step, look);
    }
    for (let round = 0; round < 3; round++) {
      plugins.bench.nowMs += 15_000;
      await look();
    }
    expect(await rowOf()).toMatchObject({ state: "DISABLED", is_data_removed: true, state_reason: "" });
    expect(plugins.bench.jobs).toEqual([{ name: "x", isPaused: true }]);
    expect(plugins.bench.spaces.size).toBe(0);
    expect(await validOf()).toEqual([]);
  });
});
