import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { PluginTopicSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { A, B, KAFKA, T0, usePlugins } from "../testing/plugin-calls.ts";
import { enablePlugin } from "./change.ts";
import type { PluginParts } from "./parts.ts";

const plugins = usePlugins();
const { enable, rotate, disable, rowOf, usersOf, validOf, look, away, overlap } = plugins;

describe("EnablePlugin", () => {
  test("makes the row first, and answers with the password when the broker has it", async () => {
    const states: unknown[] = [];
    plugins.bench.before.REDIS = async () => void states.push((await rowOf()).state, usersOf());
    const { row, credentials } = await enable();
    expect(states).toEqual(["PROVISIONING", undefined]);
    expect(row).toMatchObject({ state: "ENABLED", endpoint: "redis.test:6379", state_reason: "" });
    expect(credentials?.username).toBe("proj_a-1");
    expect(credentials?.password).toMatch(/^[\w-]{43}$/);
    expect(credentials?.url).toBe(`redis://proj_a-1:${credentials?.password}@redis.test:6379`);
    expect(usersOf()).toEqual(["proj_a-1"]);
    expect(await validOf()).toEqual(["proj_a-1"]);
  });

  test("keeps no password, in no row and no log line", async () => {
    const { credentials } = await enable();
    const rotated = await rotate();
    const dump = await plugins.bench.pool.query<{ text: string }>({
      name: "dump",
      text: "select p::text || c::text as text from gateway.plugins p join gateway.plugin_credentials c using (project_id)",
    });
    const text = JSON.stringify([dump, plugins.bench.logged]);
    expect(dump.length).toBe(2);
    for (const password of [credentials?.password ?? "", rotated.credentials.password]) {
      expect(text).not.toContain(password);
      expect(text).not.toContain(Buffer.from(password).toString("hex"));
    }
  });

  test("changes nothing when it is called again, and returns no credentials", async () => {
    await enable();
    const again = await enable(A, { maxBytes: 5n });
    expect(again.credentials).toBeUndefined();
    expect(again.row.limits).toEqual({ maxBytes: "1000", maxKeys: "100" });
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("called twice at once makes credentials once", async () => {
    const [first, second] = await overlap(
      () => enable(),
      () => enable(),
    );
    const both = [await first, await second];
    const made = both.flatMap(({ credentials }) => credentials?.username ?? []);
    expect(made).toHaveLength(1);
    expect(usersOf()).toEqual(made);
    expect(both.map(({ row }) => row.state)).toEqual(["ENABLED", "ENABLED"]);
  });

  test("refuses limits above the operator's, or of another kind, each by its field", async () => {
    await expect(enable(A, { maxBytes: 2_001n, maxTopics: 1 })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [
        { field: "limits.maxBytes", description: "It is 2001; this server allows at most 2000." },
        { field: "limits.maxTopics" },
      ],
    });
    await expect(rowOf()).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
  });

  test("shows PROVISIONING with the reason while the broker is away, and the loop finishes it", async () => {
    plugins.bench.nowMs = T0;
    plugins.bench.before.REDIS = async () => {
      throw away();
    };
    await expect(enable()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    const reason = "The redis does not answer now; try the same call again later.";
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", state_reason: reason, failures: 1 });
    plugins.bench.nowMs += 5_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", failures: 2 });
    delete plugins.bench.before.REDIS;
    plugins.bench.nowMs += 60_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "ENABLED", state_reason: "", failures: 0 });
    // Nobody knows a password, so there is no user.
    expect(usersOf()).toEqual([]);
    const { credentials } = await rotate();
    expect(usersOf()).toEqual([credentials.username]);
  });

  test("is FAILED when the broker refuses, and tries again when it is called again", async () => {
    plugins.bench.before.REDIS = async () => {
      throw failure("FIELD_INVALID", { field: "limits", problem: "no." });
    };
    await expect(enable()).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    expect(await rowOf()).toMatchObject({ state: "FAILED", state_reason: "limits: no." });
    delete plugins.bench.before.REDIS;
    expect((await enable()).credentials?.username).toBe("proj_a-2");
    expect(usersOf()).toEqual(["proj_a-2"]);
  });

  test("has its topics although the call died before it began, and again when it comes back in the grace", async () => {
    plugins.bench.nowMs = T0;
    const topics = [create(PluginTopicSchema, { name: "orders", partitions: 5 })];
    const query: PluginParts["database"]["query"] = (...given) => {
      if (given[0].name === "pluginTakeIfFree") throw new Error("killed");
      return plugins.bench.pool.query(...given);
    };
    const dying = { ...plugins.bench.parts, database: { ...plugins.bench.pool, query } };
    await expect(enablePlugin(dying, KAFKA, { limits: undefined, topics }, {})).rejects.toThrow();
    plugins.bench.nowMs += 15_000;
    await look();
    expect(await rowOf(KAFKA)).toMatchObject({ state: "ENABLED", topics: [{ name: "orders" }] });
    await disable(false, 60_000, KAFKA);
    expect((await enable(KAFKA)).row.topics).toMatchObject([{ name: "orders", partitions: 5 }]);
  });

  test("gives a project nothing of another's", async () => {
    await enable();
    await expect(rowOf(B)).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    await expect(rotate(0, B)).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    await expect(disable(true, 0, B)).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    await enable(B);
    expect(usersOf(B)).toEqual(["proj_b-1"]);
    expect(usersOf()).toEqual(["proj_a-1"]);
  });
});
