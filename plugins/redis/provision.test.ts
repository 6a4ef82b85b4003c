import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProvisionRequestSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import {
  deliverAll,
  newProject,
  openClient,
  openCustomer,
  openPlugin,
  recordLog,
  setUp,
  toMessage,
} from "./testing/ground.ts";

describe.runIf(hasRedis())("setting a project up in Redis", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  const openAdmin = () => openClient(redis.port, { username: "admin", password: "test-admin" });

  test("that is repeated keeps open connections, and one that leaves a user out closes the user's", async () => {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId, { users: [1] });
    const old = openCustomer(redis.port, projectId, 1);
    await old.subscribe(`${projectId}:c`);
    const closed = new Promise<void>((resolve) => old.on("close", () => resolve()));
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });

    // The overlap of a rotation: both users work.
    await setUp(plugin, projectId, { users: [1, 2] });
    await setUp(plugin, projectId, { users: [1, 2] });
    const young = openCustomer(redis.port, projectId, 2);
    await young.set(`${projectId}:app:k`, "v");
    expect(isClosed).toBe(false);

    await setUp(plugin, projectId, { users: [2] });
    await closed;
    expect(await young.get(`${projectId}:app:k`)).toBe("v");
    await expect(openCustomer(redis.port, projectId, 1).ping()).rejects.toThrow();
  });

  test("that the server refuses is in the log, which tells why, once in ten seconds", async () => {
    const admin = openAdmin();
    await admin.call("ACL", "SETUSER", "weak", "on", ">weak", "allkeys", "allcommands", "-acl");
    const { logger, lines } = recordLog();
    const plugin = openPlugin(`redis://weak:weak@127.0.0.1:${redis.port}`, logger);
    const failed = { reason: "SERVICE_UNAVAILABLE" };
    for (let n = 0; n < 3; n++) await expect(setUp(plugin, newProject())).rejects.toMatchObject(failed);
    const told = lines.filter(({ message }) => message.includes("did not do what an administrator asked"));
    expect(told.map(({ level, fields }) => [level, String(Object(fields).err)])).toEqual([
      ["warn", expect.stringContaining("NOPERM")],
    ]);
  });

  test("asks the server for its commands once for each connection", async () => {
    const plugin = openPlugin(redis.url);
    const admin = openAdmin();
    await admin.config("RESETSTAT");
    const countAsked = async () =>
      Number(/^cmdstat_command\|info:calls=(\d+)/m.exec(await admin.info("commandstats"))?.[1]);
    for (let n = 0; n < 3; n++) await setUp(plugin, newProject());
    expect(await countAsked()).toBe(1);
    await admin.call("CLIENT", "KILL", "USER", "admin", "SKIPME", "yes");
    const isSetUp = () =>
      setUp(plugin, newProject()).then(
        () => true,
        () => false,
      );
    await expect.poll(isSetUp).toBe(true);
    await setUp(plugin, newProject());
    expect(await countAsked()).toBe(2);
  });

  test("without users takes all access away and keeps the data; triggers can still be written", async () => {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId);
    await openCustomer(redis.port, projectId).set(`${projectId}:app:k`, "v");
    await setUp(plugin, projectId, { users: [] });
    await expect(openCustomer(redis.port, projectId).ping()).rejects.toThrow();
    expect(await openAdmin().get(`${projectId}:app:k`)).toBe("v");
    const answers = await deliverAll(plugin, projectId, [
      toMessage("a", { destination: { case: "stream", value: "s" } }),
    ]);
    expect(answers[0]?.position).toContain("stream entry");
    await setUp(plugin, projectId, { users: [2] });
    expect(await openCustomer(redis.port, projectId, 2).get(`${projectId}:app:k`)).toBe("v");
  });

  test("again brings back users that the server has lost", async () => {
    const own = await startTestRedis();
    const projectId = newProject();
    const plugin = openPlugin(own.url);
    try {
      await setUp(plugin, projectId);
      await own.kill9();
      await own.start();
      await expect(openCustomer(own.port, projectId).ping()).rejects.toThrow();
      await setUp(plugin, projectId);
      expect(await openCustomer(own.port, projectId).ping()).toBe("PONG");
    } finally {
      await own.stop();
    }
  });

  test("deletes users of the project of which it has no record, and no user of another project", async () => {
    const [projectId, other] = [newProject(), newProject()];
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId, { users: [1, 2] });
    await setUp(plugin, other);
    // As if the server's data were lost and its users were not.
    await openAdmin().del(`easycron:project:${projectId}`);
    await setUp(plugin, projectId, { users: [2] });
    const users = (await openAdmin().call("ACL", "USERS")) as string[];
    expect(users).not.toContain(`${projectId}-1`);
    expect(users).toEqual(expect.arrayContaining([`${projectId}-2`, `${other}-1`]));
  });

  test("of a project that is over its limits lets its users read, consume and delete, and nothing else", async () => {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId);
    const customer = openCustomer(redis.port, projectId);
    await customer.set(`${projectId}:app:k`, "v");
    await deliverAll(plugin, projectId, [toMessage("a", { destination: { case: "stream", value: "s" } })]);
    await customer.xgroup("CREATE", `${projectId}:s`, "g", "0");

    await setUp(plugin, projectId, { isReadOnly: true });
    await expect(customer.set(`${projectId}:app:k2`, "v")).rejects.toThrow("NOPERM");
    await expect(customer.publish(`${projectId}:c`, "m")).rejects.toThrow("NOPERM");
    expect(await customer.get(`${projectId}:app:k`)).toBe("v");
    const read = await customer.xreadgroup("GROUP", "g", "c", "STREAMS", `${projectId}:s`, ">");
    expect(read).toHaveLength(1);
    expect(await customer.unlink(`${projectId}:app:k`)).toBe(1);
    // Triggers' own keys cannot be deleted otherwise. Now this is the only way to make room.
    expect(await customer.del(`${projectId}:s`)).toBe(1);

    await setUp(plugin, projectId);
    await customer.set(`${projectId}:app:k2`, "v");
  });

  test("refuses a password hash of the wrong length, and changes nothing", async () => {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId);
    const credentials = [{ username: `${projectId}-2`, passwordSha256: Buffer.from("short") }];
    const request = create(ProvisionRequestSchema, { kind: PluginKind.REDIS, projectId, credentials });
    await expect(plugin.provision(request, AbortSignal.timeout(5_000))).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      message: expect.stringContaining("It has 5 bytes; it must have 32."),
    });
    expect(await openCustomer(redis.port, projectId).ping()).toBe("PONG");
  });
});
