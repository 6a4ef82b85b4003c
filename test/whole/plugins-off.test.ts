import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { cron, kafkaTopic, redisStream, webhook } from "../../sdk/index.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { hasSockets, readConnections } from "../support/sockets.ts";
import { addTenant, type Tenant } from "./plugins-scene.ts";
import { toCounts } from "./plugins-wall.ts";

let mesh: Mesh;
let receiver: Receiver;
let tenant: Tenant;

describe("a product without plugins", () => {
  beforeAll(async () => {
    receiver = await startReceiver();
    mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData });
    tenant = await addTenant(mesh);
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
    await receiver?.stop();
  });

  test.runIf(hasSockets)("opens no connection to plugin delivery while webhooks flow", async () => {
    const schedule = cron("* * * * * *", { dialect: "WITH_SECONDS" });
    const jobs = ["a", "b", "c"].map((name) => ({
      name,
      schedule,
      target: webhook(`${receiver.url}/${name}`),
    }));
    await tenant.client.jobs.batchCreate(jobs);
    await receiver.waitFor((requests) => requests.length >= 9);
    const connections = readConnections(mesh.pids());
    console.log(`who connects to whom, without plugins:\n${toCounts(connections)}`);
    for (const [, peers] of connections) expect(peers.has("plugins")).toBe(false);
    expect(connections.get("plugins")).toEqual(new Map());
  });

  test("refuses to enable one, and a job that has one as target", async () => {
    const { client } = tenant;
    for (const kind of ["REDIS", "KAFKA"] as const) {
      await expect(client.plugins.enable(kind)).rejects.toMatchObject({ reason: "PLUGIN_NOT_AVAILABLE" });
    }
    for (const target of [redisStream("orders"), kafkaTopic("orders")]) {
      const created = client.jobs.create({ name: "refused", target });
      await expect(created).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    }
    await expect(client.plugins.list()).resolves.toEqual([]);
  });
});
