import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createLogger } from "../../mesh/logger.ts";
import { type Accept, type FakeDispatcher, startFakeDispatcher } from "../testing/fake-dispatcher.ts";
import { createDispatchers, type Dispatchers, type DispatchersOptions } from "./dispatchers.ts";

const logger = createLogger("test", { EASYCRON_LOG_LEVEL: "silent" });
const nothing: Accept = async function* () {};

const closes: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close();
});

async function serve(address?: string): Promise<FakeDispatcher> {
  const fake = await startFakeDispatcher(nothing, address);
  closes.push(fake.stop);
  return fake;
}

async function watch(
  addresses: readonly string[],
  options: Partial<DispatchersOptions> = {},
): Promise<Dispatchers> {
  const dispatchers = createDispatchers({ addresses, logger, checkEveryMs: 10, ...options });
  closes.push(dispatchers.close);
  await dispatchers.untilChecked();
  return dispatchers;
}

const addressesOf = (dispatchers: Dispatchers) => dispatchers.live().map(({ address }) => address);
const portOf = ({ address }: FakeDispatcher) => Number(address.split(":")[1]);

describe("a dispatcher", () => {
  test("is live after the first check if it serves", async () => {
    const [one, two, closing] = [await serve(), await serve(), await serve()];
    closing.server.setServing(false);
    const dispatchers = await watch([one.address, two.address, closing.address, "127.0.0.1:1"]);
    expect(addressesOf(dispatchers)).toEqual([one.address, two.address].sort());
  });

  test("gets nothing while it does not serve, and what it records is still waited for", async () => {
    const fake = await serve();
    const dispatchers = await watch([fake.address]);
    const [dispatcher] = dispatchers.live();
    fake.server.setServing(false);
    await expect.poll(() => addressesOf(dispatchers)).toEqual([]);
    expect(dispatcher?.dead.aborted).toBe(false);
    fake.server.setServing(true);
    await expect.poll(() => addressesOf(dispatchers)).toEqual([fake.address]);
  });

  test("is dead when it is gone, and live again after its restart", async () => {
    const fake = await serve();
    const dispatchers = await watch([fake.address]);
    const [dispatcher] = dispatchers.live();
    await fake.stop();
    await expect.poll(() => addressesOf(dispatchers)).toEqual([]);
    await expect.poll(() => dispatcher?.dead.aborted).toBe(true);
    await serve(fake.address);
    await expect.poll(() => addressesOf(dispatchers), { timeout: 5_000 }).toEqual([fake.address]);
    expect(dispatchers.live()[0]?.dead.aborted).toBe(false);
  });

  test("is dead when it accepts connections and does not answer", async () => {
    const sockets: net.Socket[] = [];
    const stalled = net.createServer((socket) => sockets.push(socket));
    await new Promise<void>((listening) => stalled.listen(0, "127.0.0.1", listening));
    closes.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((closed) => stalled.close(closed));
    });
    const { port } = stalled.address() as net.AddressInfo;
    const other = await serve();
    const dispatchers = await watch([`127.0.0.1:${port}`, other.address], { checkLimitMs: 100 });
    expect(addressesOf(dispatchers)).toEqual([other.address]);
  });

  test("that has never answered may be starting, so a warning comes late, and only once", async () => {
    const warned: string[] = [];
    const warn = (_fields: object, message: string) => warned.push(message);
    const telling = Object.assign(Object.create(logger) as typeof logger, { warn });
    const starting = await watch(["127.0.0.1:1"], { logger: telling });
    await new Promise((later) => setTimeout(later, 100));
    expect(warned).toEqual([]);
    await starting.close();
    await watch(["127.0.0.1:1"], { logger: telling, startLimitMs: 50 });
    await expect.poll(() => warned).toHaveLength(1);
    await new Promise((later) => setTimeout(later, 100));
    expect(warned).toEqual(["a dispatcher does not answer; it gets no triggers until it does"]);
  });

  test("that has answered is warned of at once when it is gone, by its name", async () => {
    const warned: string[] = [];
    const warn = ({ err }: { readonly err: Error }) => warned.push(err.message);
    const telling = Object.assign(Object.create(logger) as typeof logger, { warn });
    const fake = await serve();
    await watch([fake.address], { logger: telling });
    await fake.stop();
    await expect.poll(() => warned).toEqual([expect.stringMatching(/^The dispatcher does not answer now/)]);
  });

  test("stays dead after markDead until a later check is good", async () => {
    const fake = await serve();
    const dispatchers = await watch([fake.address], { checkEveryMs: 200 });
    const [dispatcher] = dispatchers.live();
    if (dispatcher === undefined) throw new Error("It is not live.");
    dispatchers.markDead(dispatcher, new Error("no answer"));
    expect(addressesOf(dispatchers)).toEqual([]);
    expect(dispatcher.dead.aborted).toBe(true);
    await expect.poll(() => addressesOf(dispatchers)).toEqual([fake.address]);
    dispatchers.markDead(dispatcher, new Error("of its life before"));
    expect(addressesOf(dispatchers)).toEqual([fake.address]);
  });
});

describe("a name of dispatchers", () => {
  test("is resolved to all its addresses, and again when they change", async () => {
    const fake = await serve();
    const port = portOf(fake);
    let ips = ["127.0.0.1"];
    const dispatchers = await watch([`dispatchers.test:${port}`], { resolve: async () => ips });
    expect(addressesOf(dispatchers)).toEqual([`127.0.0.1:${port}`]);
    const second = await startFakeDispatcher(nothing, `127.0.0.2:${port}`);
    closes.push(second.stop);
    ips = ["127.0.0.1", "127.0.0.2"];
    await expect
      .poll(() => addressesOf(dispatchers), { timeout: 5_000 })
      .toEqual([`127.0.0.1:${port}`, `127.0.0.2:${port}`]);
    ips = ["127.0.0.2"];
    await expect.poll(() => addressesOf(dispatchers), { timeout: 5_000 }).toEqual([`127.0.0.2:${port}`]);
  });

  test("keeps its addresses while it cannot be resolved", async () => {
    const fake = await serve();
    let calls = 0;
    const resolve = async () => {
      calls += 1;
      if (calls > 1) throw new Error("SERVFAIL");
      return ["127.0.0.1"];
    };
    const dispatchers = await watch([`dispatchers.test:${portOf(fake)}`], { resolve });
    await expect.poll(() => calls, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(addressesOf(dispatchers)).toEqual([fake.address]);
  });
});
