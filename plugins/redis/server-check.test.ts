import { describe, expect, onTestFinished, test } from "vitest";
import { hasRedis, startTestRedis } from "../../test/support/redis.ts";
import { openClient, openPlugin, recordLog } from "./testing/ground.ts";

describe.runIf(hasRedis())("the look at the server's configuration", () => {
  async function look(args: readonly string[], command?: readonly [string, ...string[]]) {
    const redis = await startTestRedis(args);
    onTestFinished(() => redis.stop());
    if (command !== undefined) {
      const [name, ...rest] = command;
      await openClient(redis.port, { username: "admin", password: "test-admin" }).call(name, ...rest);
    }
    const { logger, lines } = recordLog();
    const plugin = openPlugin(redis.url, logger);
    await expect.poll(async () => (await plugin.describe()).problem).toBe("");
    // The look was sent before this, over the same connection.
    await plugin.provision(
      {
        $typeName: "easycron.internal.plugins.v1.ProvisionRequest",
        kind: 1,
        projectId: "proj_a",
        credentials: [],
        topics: [],
        deletedTopics: [],
        isReadOnly: false,
      },
      AbortSignal.timeout(5_000),
    );
    return lines.map(({ level, fields }) => `${level} ${JSON.stringify(fields)}`);
  }

  test("finds nothing wrong with the server of npm start", async () => {
    expect(await look([])).toEqual([]);
  });

  test("finds what would lose or drop messages", async () => {
    const lines = await look(["--maxmemory-policy", "allkeys-lru", "--maxmemory", "0", "--appendonly", "no"]);
    expect(lines).toEqual([
      expect.stringContaining("maxmemory-policy is allkeys-lru"),
      expect.stringContaining("maxmemory is 0"),
      expect.stringContaining("appendonly is no"),
    ]);
  });

  test("finds a default user without rights, because the append-only file is read with them", async () => {
    const lines = await look([], ["ACL", "SETUSER", "default", "reset"]);
    expect(lines).toEqual([expect.stringContaining("The default user does not have all rights")]);
  });

  test("finds a default user that is on without a password", async () => {
    const lines = await look(
      [],
      ["ACL", "SETUSER", "default", "on", "nopass", "allcommands", "allkeys", "allchannels"],
    );
    expect(lines).toEqual([expect.stringContaining("The default user is on without a password")]);
  });
});
