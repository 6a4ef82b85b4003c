import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PluginLimitsSchema, PluginTopicSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { type PluginsBench, startPluginsBench } from "../testing/plugins-bench.ts";
import { enablePlugin, requireRow, rotateCredentials, updatePlugin } from "./change.ts";
import { credentialsValid } from "./credentials.sql.ts";
import { disablePlugin } from "./disable.ts";
import { readJobPlugins } from "./job-plugins.ts";
import type { KindName } from "./kinds.ts";
import { type PluginParts, type PluginStep, sqlNow } from "./parts.ts";
import { createReconciler } from "./reconcile.ts";

const DAY_MS = 86_400_000;
const T0 = Date.UTC(2030, 0, 1);

let bench: PluginsBench;
/** Of the process that makes the calls now. */
let parts: PluginParts;
beforeAll(async () => {
  bench = await startPluginsBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.reset();
  parts = bench.parts;
});

const A = { projectId: "proj_a", kind: "REDIS" } as const;
const B = { projectId: "proj_b", kind: "REDIS" } as const;
const KAFKA = { projectId: "proj_a", kind: "KAFKA" } as const;
interface Name {
  readonly projectId: string;
  readonly kind: KindName;
}

const enable = (name: Name = A, limits: { maxBytes?: bigint; maxTopics?: number } | undefined = undefined) =>
  enablePlugin(parts, name, { limits: limits && create(PluginLimitsSchema, limits), topics: [] }, {});
const rotate = (overlapMs = DAY_MS, name: Name = A) => rotateCredentials(parts, name, overlapMs, {});
const disable = (isForced = false, graceMs = DAY_MS, name: Name = A) =>
  disablePlugin(parts, name, { isForced, graceMs }, {});
const rowOf = (name: Name = A) => requireRow(bench.parts, name);
const usersOf = (name: Name = A) => bench.spaces.get(`${name.kind} ${name.projectId}`)?.users;
async function validOf({ projectId, kind }: Name = A) {
  const rows = await bench.pool.query(credentialsValid, [projectId, sqlNow(bench.parts)]);
  return rows.filter((row) => row.kind === kind).map(({ username }) => username);
}

/** Lets a gateway look once, and waits for its work. */
async function look(): Promise<void> {
  const reconciler = createReconciler(parts);
  await reconciler.look();
  await reconciler.untilIdle();
}

/** What plugin delivery says while a broker is away. */
const away = () => failure("SERVICE_UNAVAILABLE", { service: "redis" }, { retryAfterMs: 1_000 });

/** Makes the leases of a process that has died end. */
async function endLeases(): Promise<void> {
  await bench.pool.query({ name: "endLeases", text: "update gateway.plugins set lease_end = now()" });
}

/** Runs a call whose process dies at a step: nothing after the step happens, not even the writing of the failure. */
async function dieAt(step: PluginStep, call: () => Promise<unknown>): Promise<void> {
  const death = Promise.withResolvers<void>();
  let isDead = false;
  const database: PluginParts["database"] = {
    ...bench.pool,
    query: (...given) => (isDead ? new Promise(() => {}) : bench.pool.query(...given)),
  };
  const onStep = (reached: PluginStep) => {
    if (reached !== step) return;
    isDead = true;
    death.resolve();
    throw new Error("killed");
  };
  parts = { ...bench.parts, database, onStep };
  void call();
  await death.promise;
  parts = bench.parts;
  await endLeases();
}

/**
 * Makes two calls of which the second has found the plugin in use by the first, which then goes on. Returns what both
 * promise.
 */
async function overlap<A, B>(
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<readonly [Promise<A>, Promise<B>]> {
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  bench.before.REDIS = async () => {
    reached.resolve();
    await goOn.promise;
  };
  const firstDone = first();
  await reached.promise;
  const hasTried = Promise.withResolvers<void>();
  const query: PluginParts["database"]["query"] = async (...given) => {
    const answer = await bench.pool.query(...given);
    if (given[0].name === "pluginTakeIfFree") hasTried.resolve();
    return answer;
  };
  parts = { ...bench.parts, database: { ...bench.pool, query } };
  const secondDone = second();
  await hasTried.promise;
  parts = bench.parts;
  goOn.resolve();
  return [firstDone, secondDone];
}

describe("EnablePlugin", () => {
  test("makes the row first, and answers with the password when the broker has it", async () => {
    const states: unknown[] = [];
    bench.before.REDIS = async () => void states.push((await rowOf()).state, usersOf());
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
    const dump = await bench.pool.query<{ text: string }>({
      name: "dump",
      text: "select p::text || c::text as text from gateway.plugins p join gateway.plugin_credentials c using (project_id)",
    });
    const text = JSON.stringify([dump, bench.logged]);
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
    bench.nowMs = T0;
    bench.before.REDIS = async () => {
      throw away();
    };
    await expect(enable()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    const reason = "The redis does not answer now; try the same call again later.";
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", state_reason: reason, failures: 1 });
    bench.nowMs += 5_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", failures: 2 });
    delete bench.before.REDIS;
    bench.nowMs += 60_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "ENABLED", state_reason: "", failures: 0 });
    // Nobody knows a password, so there is no user.
    expect(usersOf()).toEqual([]);
    const { credentials } = await rotate();
    expect(usersOf()).toEqual([credentials.username]);
  });

  test("is FAILED when the broker refuses, and tries again when it is called again", async () => {
    bench.before.REDIS = async () => {
      throw failure("FIELD_INVALID", { field: "limits", problem: "no." });
    };
    await expect(enable()).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    expect(await rowOf()).toMatchObject({ state: "FAILED", state_reason: "limits: no." });
    delete bench.before.REDIS;
    expect((await enable()).credentials?.username).toBe("proj_a-2");
    expect(usersOf()).toEqual(["proj_a-2"]);
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

describe("RotatePluginCredentials", () => {
  test("keeps the old credentials for the overlap, and then the loop ends them", async () => {
    bench.nowMs = T0;
    await enable();
    await rotate(10_000);
    expect(usersOf()).toEqual(["proj_a-1", "proj_a-2"]);
    bench.nowMs = T0 + 9_999;
    await look();
    expect(usersOf()).toEqual(["proj_a-1", "proj_a-2"].toReversed().toSorted());
    bench.nowMs = T0 + 10_000;
    await look();
    expect(usersOf()).toEqual(["proj_a-2"]);
    expect(await validOf()).toEqual(["proj_a-2"]);
  });

  test("ends the older of two at once, and with no overlap all", async () => {
    await enable();
    await rotate();
    await rotate();
    expect(usersOf()).toEqual(["proj_a-2", "proj_a-3"]);
    await rotate(0);
    expect(usersOf()).toEqual(["proj_a-4"]);
    expect(await validOf()).toEqual(["proj_a-4"]);
  });

  test("leaves the credentials before as they are if the broker is away", async () => {
    bench.nowMs = T0;
    await enable();
    bench.before.REDIS = async () => {
      throw away();
    };
    await expect(rotate(1_000)).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", is_usable: true });
    expect(await readJobPlugins(bench.pool, "proj_a")).toMatchObject({ redis: { isUsable: true } });
    delete bench.before.REDIS;
    bench.nowMs += 60_000;
    await look();
    expect(usersOf()).toEqual(["proj_a-1"]);
    expect(await rowOf()).toMatchObject({ state: "ENABLED" });
  });

  test("waits while the plugin is disabled by another call, and is then refused", async () => {
    await enable();
    const [disabling, rotating] = await overlap(
      () => disable(),
      () => rotate().catch((error: unknown) => error),
    );
    expect((await disabling).row.state).toBe("DISABLED");
    expect(await rotating).toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    expect(usersOf()).toEqual([]);
  });

  test("gives Kafka a salted password of SCRAM-SHA-512, and the database nothing", async () => {
    await enable(KAFKA);
    const { credentials } = await rotate(DAY_MS, KAFKA);
    expect(credentials.url).toBe("kafka.test:9092");
    const sent = bench.spaces.get("KAFKA proj_a")?.request.credentials ?? [];
    expect(sent.map(({ username, scram }) => [username, scram?.saltedPassword.length])).toEqual([
      ["proj_a-1", undefined],
      ["proj_a-2", 64],
    ]);
    const rows = await bench.pool.query(credentialsValid, ["proj_a", null]);
    expect(rows.map(({ password_sha256 }) => password_sha256)).toEqual([null, null]);
  });

  test("drops credentials that the broker has lost", async () => {
    bench.nowMs = T0;
    await enable(KAFKA);
    bench.spaces.clear();
    bench.nowMs += 600_000;
    await look();
    expect(await validOf(KAFKA)).toEqual([]);
    expect(bench.logged.map(({ message }) => message)).toContain(
      "the broker has lost credentials; they have ended",
    );
  });
});

describe("UpdatePlugin", () => {
  const update = (change: Partial<Parameters<typeof updatePlugin>[2]>, name: Name = A) =>
    updatePlugin(bench.parts, name, { limits: undefined, topics: [], deleteTopics: [], ...change }, {});
  const topic = (name: string, partitions = 0) => create(PluginTopicSchema, { name, partitions });

  test("changes limits, and keeps them when they are not given", async () => {
    await enable();
    await update({ limits: create(PluginLimitsSchema, { maxBytes: 500n }) });
    await update({});
    expect(bench.spaces.get("REDIS proj_a")?.request.limits).toMatchObject({ maxBytes: 500n, maxKeys: 100n });
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("makes, grows and deletes topics, and fills in the defaults", async () => {
    await enable(KAFKA);
    await update({ topics: [topic("a"), topic("b", 2)] }, KAFKA);
    await update({ topics: [topic("b", 4)], deleteTopics: ["a", "gone"] }, KAFKA);
    const { request } = bench.spaces.get("KAFKA proj_a") ?? {};
    expect(request?.topics).toMatchObject([{ name: "b", partitions: 4, retention: { seconds: 3_600n } }]);
    expect(request?.deletedTopics).toEqual(["a", "gone"]);
    expect((await rowOf(KAFKA)).deleted_topics).toEqual([]);
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
    bench.before.KAFKA = async () => {
      throw failure("FIELD_INVALID", { field: "topics", problem: "no." });
    };
    await expect(update({ topics: [topic("a")] }, KAFKA)).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    expect(await rowOf(KAFKA)).toMatchObject({ topics: [], deleted_topics: [] });
    delete bench.before.KAFKA;
    expect((await enable(KAFKA)).row.state).toBe("ENABLED");
    expect(usersOf(KAFKA)).toEqual(["proj_a-1"]);
  });
});

describe("DisablePlugin", () => {
  test("refuses while jobs have it as target, with their count and names, and nothing has changed", async () => {
    await enable();
    bench.jobs.push({ name: "x", isPaused: false }, { name: "y", isPaused: true });
    await expect(disable()).rejects.toMatchObject({
      reason: "PLUGIN_IN_USE",
      metadata: { count: "2", jobs: "x, y" },
    });
    expect(await rowOf()).toMatchObject({ state: "ENABLED", data_remove_time: null, state_reason: "" });
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("pauses the jobs if it is forced, takes the access away, and removes the data when the grace is over", async () => {
    bench.nowMs = T0;
    await enable();
    bench.jobs.push({ name: "x", isPaused: false });
    const { row, pausedJobs } = await disable(true, 60_000);
    expect(pausedJobs).toBe(1);
    expect(row).toMatchObject({ state: "DISABLED", data_remove_time: T0 + 60_000, is_data_removed: false });
    expect(usersOf()).toEqual([]);
    expect(await validOf()).toEqual([]);
    expect((await disable()).row.data_remove_time).toBe(T0 + 60_000);
    // A job that was accepted while the plugin was being disabled.
    bench.jobs.push({ name: "late", isPaused: false });
    bench.nowMs = T0 + 15_000;
    await look();
    expect(bench.jobs).toEqual([
      { name: "x", isPaused: true },
      { name: "late", isPaused: true },
    ]);
    expect(bench.removed).toEqual([]);
    bench.nowMs = T0 + 60_000;
    await look();
    expect(bench.removed).toEqual(["REDIS proj_a"]);
    expect(await rowOf()).toMatchObject({ state: "DISABLED", is_data_removed: true });
    bench.nowMs += DAY_MS;
    await look();
    expect(bench.removed).toHaveLength(1);
  });

  test("is taken back by EnablePlugin in the grace, which keeps the data and makes new credentials", async () => {
    bench.nowMs = T0;
    await enable();
    await disable(false, 60_000);
    const { row, credentials } = await enable();
    expect(row).toMatchObject({ state: "ENABLED", data_remove_time: null });
    expect(credentials?.username).toBe("proj_a-2");
    bench.nowMs += DAY_MS;
    await look();
    expect(bench.removed).toEqual([]);
    expect(usersOf()).toEqual(["proj_a-2"]);
  });

  test("shows DISABLING while the broker is away, refuses jobs, and the loop finishes it", async () => {
    bench.nowMs = T0;
    await enable();
    bench.before.REDIS = async () => {
      throw away();
    };
    await expect(disable()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(await rowOf()).toMatchObject({ state: "DISABLING", failures: 1 });
    expect(await readJobPlugins(bench.pool, "proj_a")).toEqual({
      redis: { state: "DISABLING", isUsable: false },
    });
    delete bench.before.REDIS;
    bench.nowMs += 60_000;
    await look();
    expect(await rowOf()).toMatchObject({ state: "DISABLED" });
    expect(usersOf()).toEqual([]);
  });
});

describe("a process that dies", () => {
  test.each<PluginStep>(["enable: row written", "enable: provisioned", "enable: finished"])(
    "at the step %j leaves nothing half-made, after the loop or after the repeated call",
    async (step) => {
      bench.nowMs = T0;
      for (const [name, finish] of [
        [A, look],
        [B, () => enable(B)],
      ] as const) {
        await dieAt(step, () => enable(name));
        bench.nowMs += 15_000;
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
      bench.nowMs = T0;
      await enable();
      await dieAt(step, () => rotate(1_000));
      bench.nowMs += DAY_MS;
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
    bench.nowMs = T0;
    await enable();
    bench.jobs.push({ name: "x", isPaused: false });
    if (step.startsWith("disable")) await dieAt(step, () => disable(true, 0));
    else {
      await disable(true, 0);
      await dieAt(step, look);
    }
    for (let round = 0; round < 3; round++) {
      bench.nowMs += 15_000;
      await look();
    }
    expect(await rowOf()).toMatchObject({ state: "DISABLED", is_data_removed: true, state_reason: "" });
    expect(bench.jobs).toEqual([{ name: "x", isPaused: true }]);
    expect(bench.spaces.size).toBe(0);
    expect(await validOf()).toEqual([]);
  });
});

describe("the loop", () => {
  test("sets an enabled plugin up again after a minute, because a Redis forgets its users", async () => {
    bench.nowMs = T0;
    await enable();
    bench.spaces.clear();
    bench.nowMs += 60_000;
    await look();
    expect(usersOf()).toEqual(["proj_a-1"]);
  });

  test("lets customers only read while the limits are used up, and write again below 90 %", async () => {
    bench.nowMs = T0;
    await enable();
    const use = async (bytes: bigint, keys = 1n) => {
      bench.usage.set("proj_a", { bytes, keys });
      bench.nowMs = (bench.nowMs ?? 0) + 60_000;
      await look();
      await look();
      return bench.spaces.get("REDIS proj_a")?.request.isReadOnly;
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
    bench.nowMs = T0;
    await enable();
    await enable(KAFKA);
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    bench.before.REDIS = async () => {
      asked.resolve();
      await answer.promise;
    };
    bench.spaces.clear();
    bench.nowMs += 600_000;
    const reconciler = createReconciler(bench.parts);
    await reconciler.look();
    await asked.promise;
    await expect.poll(() => bench.spaces.has("KAFKA proj_a")).toBe(true);
    expect(bench.spaces.has("REDIS proj_a")).toBe(false);
    answer.resolve();
    await reconciler.untilIdle();
    expect(bench.spaces.has("REDIS proj_a")).toBe(true);
  });

  test("goes on with other projects while one fails, and waits longer after each failure", async () => {
    bench.nowMs = T0;
    await enable();
    await enable(B);
    bench.spaces.clear();
    let failures = 0;
    bench.before.REDIS = async (method, projectId) => {
      if (method !== "provision" || projectId !== "proj_a") return;
      failures += 1;
      throw away();
    };
    bench.nowMs += 60_000;
    for (let second = 0; second < 60; second++) {
      await look();
      bench.nowMs += 1_000;
    }
    expect(usersOf(B)).toEqual(["proj_b-1"]);
    // After 1, 2, 4, 8, 16 and 30 s, each up to 20 % sooner or later.
    expect(failures).toBeGreaterThanOrEqual(5);
    expect(failures).toBeLessThanOrEqual(8);
    expect(await rowOf()).toMatchObject({ state: "ENABLED", failures });
    const warnings = bench.logged.filter(({ message }) => message.startsWith("a step of a plugin failed"));
    expect(warnings).toHaveLength(1);
  });

  test("of two gateways works on each plugin once", async () => {
    bench.nowMs = T0;
    await enable();
    await enable(B);
    bench.nowMs += 60_000;
    const asked: string[] = [];
    bench.before.REDIS = async (method, projectId) => void asked.push(`${method} ${projectId}`);
    const gateways = [createReconciler(bench.parts), createReconciler(bench.parts)];
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
      return bench.pool.query(...given);
    };
    parts = { ...bench.parts, database: { ...bench.pool, query } };
    await look();
    expect(asked).toEqual(["pluginsDue"]);
  });
});
