import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { PluginLimitsSchema, PluginTopicSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { A, KAFKA, type Name, usePlugins } from "../testing/plugin-calls.ts";
import { updatePlugin } from "./change.ts";

const plugins = usePlugins();
const { enable, rowOf, usersOf } = plugins;

describe("UpdatePlugin", () => {
  const update = (change: Partial<Parameters<typeof updatePlugin>[2]>, name: Name = A) =>
    updatePlugin(
      plugins.bench.parts,
      name,
      { limits: undefined, topics: [], deleteTopics: [], ...change },
      {},
    );
  const topic = (name: string, partitions = 0) => create(PluginTopicSchema, { name, partitions });

  test("changes limits, and keeps them when they are not given", async () => {
    await enable();
    await update({ limits: create(PluginLimitsSchema, { maxBytes: 500n }) });
    await update({});
    expect(plugins.bench.spaces.get("REDIS proj_a")?.request.limits).toMatchObject({
      maxBytes: 500n,
      maxKeys: 100n,
    });
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("makes, grows and deletes topics, and fills in the defaults", async () => {
    await enable(KAFKA);
    await update({ topics: [topic("a"), topic("b", 2)] }, KAFKA);
    await update({ topics: [topic("b", 4)], deleteTopics: ["a", "gone"] }, KAFKA);
    const { request } = plugins.bench.spaces.get("KAFKA proj_a") ?? {};
    expect(request?.topics).toMatchObject([{ name: "b", partitions: 4, retention: { seconds: 3_600n } }]);
    expect(request?.deletedTopics).toEqual(["a", "gone"]);
    expect((await rowOf(KAFKA)).deleted_topics).toEqual([]);
  });

  test("keeps the partitions of a topic when only something else of it is changed", async () => {
    await enable(KAFKA);
    await update({ topics: [topic("a", 5)] }, KAFKA);
    const { row } = await update({ topics: [topic("a")] }, KAFKA);
    expect(row.topics).toMatchObject([{ name: "a", partitions: 5 }]);
  });

  test.each([
    ["a topic twice", { topics: ["x", "x"] }, "topics[1].name"],
    ["a topic that is deleted too", { topics: ["x"], deleteTopics: ["x"] }, "topics[0].name"],
    ["too many topics", { topics: Array.from({ length: 11 }, (_, index) => `t${index}`) }, "topics"],
  ])("refuses %s", async (_, { topics, ...rest }, field) => {
    await enable(KAFKA);
    const change = { ...rest, topics: topics.map((name) => topic(name)) };
    await expect(update(change, KAFKA)).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field }],
    });
    expect(await rowOf(KAFKA)).toMatchObject({ state: "ENABLED", topics: [] });
  });

  test("refuses partitions that shrink or are too many, and topics of Redis", async () => {
    await enable(KAFKA);
    await enable();
    await update({ topics: [topic("a", 4)] }, KAFKA);
    for (const [change, field, name] of [
      [{ topics: [topic("a", 3)] }, "topics[0].partitions", KAFKA],
      [{ topics: [topic("b", 7)] }, "topics[0].partitions", KAFKA],
      [{ topics: [topic("a")] }, "topics", A],
    ] as const)
      await expect(update(change, name)).rejects.toMatchObject({ violations: [{ field }] });
  });

  test("goes back to what was before when plugin delivery refuses", async () => {
    await enable(KAFKA);
    plugins.bench.before.KAFKA = async () => {
      throw failure("FIELD_INVALID", { field: "topics", problem: "no." });
    };
    await expect(update({ topics: [topic("a")] }, KAFKA)).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    expect(await rowOf(KAFKA)).toMatchObject({ topics: [], deleted_topics: [] });
    delete plugins.bench.before.KAFKA;
    expect((await enable(KAFKA)).row.state).toBe("ENABLED");
    expect(usersOf(KAFKA)).toEqual(["proj_a-1"]);
  });
});
