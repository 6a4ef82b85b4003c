import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { copyFolder } from "../test/support/copy-folder.ts";
import { copyPreparedData } from "../test/support/copy-prepared-data.ts";
import { JARS, whyNoTestKafka } from "../test/support/kafka.ts";
import { hasRedis } from "../test/support/redis.ts";
import { ensureJars } from "./kafka-jars.ts";
import { identityOf } from "./processes.ts";
import { useNpmStart } from "./testing/npm-start.ts";

const npm = useNpmStart();

const hasKafka = whyNoTestKafka() === undefined;
const hasBoth = hasRedis() && hasKafka;
if (!hasBoth)
  process.stderr.write("The test of npm start -- --with redis,kafka is skipped: it needs both.\n");

describe("npm start -- --with redis,kafka", { timeout: 180_000 }, () => {
  test.runIf(hasBoth)(
    "runs both, restarts one that is killed, gives them to the plugins service, and stops them",
    async () => {
      await copyPreparedData(npm.dataDir);
      await ensureJars(JARS);
      await copyFolder(JARS, join(npm.dataDir, "kafka-jars"));
      const first = npm.start({}, ["--with", "redis,kafka"]);
      await first.sees(/^ready /m);
      expect(first.output()).toMatch(
        /^Redis for the plugin listens on 127\.0\.0\.1:\d+; its data is in .*redis$/m,
      );
      expect(first.output()).toMatch(
        /^Kafka for the plugin listens on 127\.0\.0\.1:\d+; its data is in .*kafka$/m,
      );
      const plugins = createGrpcClient(PluginsService, {
        addresses: [npm.pluginsAddress()],
        deadlineMs: 10_000,
      });
      const problems = async () =>
        (await plugins.describePlugins({})).offers.map(({ kind, problem }) => [kind, problem]);
      expect(await problems()).toEqual(expect.arrayContaining([[PluginKind.REDIS, ""]]));
      const killed = npm.readManifest().pids.redis?.[0] ?? 0;
      process.kill(killed, "SIGKILL");
      await first.sees(/^redis was ended by SIGKILL; restarting it in 100 ms$/m);
      await vi.waitFor(() => expect(npm.readManifest().pids.redis?.[0]).not.toBe(killed), 10_000);
      await vi.waitFor(
        async () => expect(await problems()).toEqual(expect.arrayContaining([[PluginKind.REDIS, ""]])),
        {
          timeout: 20_000,
          interval: 200,
        },
      );
      plugins.close();
      const pids = Object.values(npm.readManifest().pids).flat();
      expect(pids).toHaveLength(7);
      first.child.kill("SIGTERM");
      expect(await first.ended).toBe(0);
      expect(pids.filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
      expect(readdirSync(npm.dataDir).sort()).toEqual([
        "kafka",
        "kafka-jars",
        "keys.json",
        "log",
        "postgres",
        "redis",
      ]);
    },
  );

  test.runIf(hasRedis())("keeps the password, and the port if it is free, for the next start", async () => {
    await copyPreparedData(npm.dataDir);
    const lines: (string | undefined)[] = [];
    for (let each = 0; each < 2; each++) {
      const { child, ended, sees, output } = npm.start({}, ["--with=redis"]);
      await sees(/^ready /m);
      lines.push(/^Redis for the plugin.*$/m.exec(output())?.[0]);
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    }
    expect(lines[0]).toBeDefined();
    expect(lines[1]).toBe(lines[0]);
  });

  test("says in one line what is missing and how to install it, ends with code 2, and starts nothing", async () => {
    const [code, line] = await npm.failure({ PATH: join(npm.parent, "empty") }, ["--with", "redis,kafka"]);
    expect(code).toBe(2);
    expect(line).toMatch(/no redis-server.*apt-get install redis-server.*brew install redis/);
    expect(line).toMatch(/Kafka needs Java 17.*apt-get install.*maven.*brew install/);
    expect(existsSync(npm.dataDir)).toBe(false);
  });

  test("refuses a name that it does not know, ends with code 2, and starts nothing", async () => {
    const [code, line] = await npm.failure({}, ["--with", "redis,mongo"]);
    expect(code).toBe(2);
    expect(line).toBe(
      'easycron: --with names "mongo"; npm start accepts --with redis,kafka (one of them or both) and --telemetry.',
    );
    expect(existsSync(npm.dataDir)).toBe(false);
  });
});
