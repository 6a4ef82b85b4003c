import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import { startTcpProxy, type TcpProxy } from "../test/support/tcp-proxy.ts";
import {
  createGround,
  eventOf,
  type Ground,
  type TestDispatcher,
  untilCounted,
  untilRecorded,
} from "./testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let proxy: TcpProxy;
let dispatcher: TestDispatcher;
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  const url = new URL(ground.databaseUrl);
  proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  dispatcher = await ground.start({ DATABASE_URL: url.href, EASYCRON_DISPATCHER_LEASE_MS: "2000" });
});

afterAll(async () => {
  proxy.restore();
  await ground.end();
  await proxy.stop();
  await receiver.stop();
});

const stateOf = async (id: string) =>
  (await ground.sql("select * from dispatcher.triggers where id = $1", [id]))[0];

describe("while the database is away,", () => {
  test("results of attempts in flight are kept, and recorded when it is back", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/kept`);
    const ends: (() => void)[] = [];
    receiver.answer("/kept", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
    const batch = Array.from({ length: 10 }, () => eventOf(job, Date.now()));
    await dispatcher.accept(batch);
    await receiver.waitFor((all) => all.filter(({ path }) => path === "/kept").length === batch.length);
    const ended = untilCounted(dispatcher.events, "attempt", () => 1, batch.length);
    const recorded = untilRecorded(dispatcher.events, batch);
    proxy.cut();
    for (const end of ends) end();
    await ended;
    proxy.restore();
    await recorded;
    const states = await Promise.all(batch.map(async ({ triggerId }) => (await stateOf(triggerId)).state));
    expect(states).toEqual(batch.map(() => "SUCCEEDED"));
    expect(receiver.requests.filter(({ path }) => path === "/kept")).toHaveLength(batch.length);
  });

  test("triggers that become due are not sent; each is sent once when it is back", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/due`);
    // The connection has to be cut before then.
    const batch = Array.from({ length: 10 }, (_, index) => eventOf(job, Date.now() + 3_000 + index));
    await dispatcher.accept(batch);
    const troubled = new Promise<void>((resolve) => {
      dispatcher.events.on("trouble", ({ part }) => /claims|specifications/.test(part) && resolve());
    });
    const recorded = untilRecorded(dispatcher.events, batch);
    proxy.cut();
    await troubled;
    expect(receiver.requests.filter(({ path }) => path === "/due")).toEqual([]);
    proxy.restore();
    await recorded;
    expect(receiver.requests.filter(({ path }) => path === "/due")).toHaveLength(batch.length);
  });

  test("a batch of events is answered UNAVAILABLE, and can be sent again when it is back", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/again`);
    const event = eventOf(job, Date.now() + 3_600_000);
    proxy.cut();
    expect(await dispatcher.accept([event])).toMatchObject({ recorded: 0, errorCode: 14 });
    proxy.restore();
    await expect.poll(() => dispatcher.accept([event])).toMatchObject({ recorded: 1, errorCode: 0 });
  });
});
