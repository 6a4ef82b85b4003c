import { describe, expect, test } from "vitest";
import { DAY_MS, KAFKA, T0, usePlugins } from "../testing/plugin-calls.ts";
import { credentialsValid } from "./credentials.sql.ts";
import { readJobPlugins } from "./job-plugins.ts";

const plugins = usePlugins();
const { enable, rotate, disable, rowOf, usersOf, validOf, look, away, overlap } = plugins;

describe("RotatePluginCredentials", () => {
  test("keeps the old credentials for the overlap, and then the loop ends them", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    await rotate(10_000);
    expect(usersOf()).toEqual(["proj_a-1", "proj_a-2"]);
    plugins.bench.nowMs = T0 + 9_999;
    await look();
    expect(usersOf()).toEqual(["proj_a-1", "proj_a-2"].toReversed().toSorted());
    plugins.bench.nowMs = T0 + 10_000;
    await look();
    expect(usersOf()).toEqual(["proj_a-2"]);
    expect(await validOf()).toEqual(["proj_a-2"]);
  });

  test("can be called again if the answer is lost: the credentials in use are still valid then", async () => {
    await enable();
    await rotate();
    await rotate();
    expect(usersOf()?.toSorted()).toEqual(["proj_a-1", "proj_a-2", "proj_a-3"]);
  });

  test("ends the oldest of three at once, and with no overlap all", async () => {
    await enable();
    await rotate();
    await rotate();
    await rotate();
    expect(usersOf()?.toSorted()).toEqual(["proj_a-2", "proj_a-3", "proj_a-4"]);
    await rotate(0);
    expect(usersOf()).toEqual(["proj_a-5"]);
    expect(await validOf()).toEqual(["proj_a-5"]);
  });

  test("leaves the credentials before as they are if the broker is away", async () => {
    plugins.bench.nowMs = T0;
    await enable();
    plugins.bench.before.REDIS = async () => {
      throw away();
    };
    await expect(rotate(1_000)).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(await rowOf()).toMatchObject({ state: "PROVISIONING", is_usable: true });
    expect(await readJobPlugins(plugins.bench.pool, "proj_a")).toMatchObject({ redis: { isUsable: true } });
    delete plugins.bench.before.REDIS;
    plugins.bench.nowMs += 60_000;
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
    const sent = plugins.bench.spaces.get("KAFKA proj_a")?.request.credentials ?? [];
    expect(sent.map(({ username, scram }) => [username, scram?.saltedPassword.length])).toEqual([
      ["proj_a-1", undefined],
      ["proj_a-2", 64],
    ]);
    const rows = await plugins.bench.pool.query(credentialsValid, ["proj_a", null]);
    expect(rows.map(({ password_sha256 }) => password_sha256)).toEqual([null, null]);
  });

  test("drops credentials that the broker has lost", async () => {
    plugins.bench.nowMs = T0;
    await enable(KAFKA);
    plugins.bench.spaces.clear();
    plugins.bench.nowMs += 600_000;
    await look();
    expect(await validOf(KAFKA)).toEqual([]);
    expect(plugins.bench.logged.map(({ message }) => message)).toContain(
      "the broker has lost credentials; they have ended",
    );
  });
});
