import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { errors } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createIdleConnections, MAX_AGE_MS } from "./idle-connections.ts";

let server: net.Server;
beforeAll(async () => {
  server = net.createServer((socket) => socket.on("error", () => {}).resume());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => {
  server.close();
});

const LIMITS = { total: 10, perOrigin: 10 };

async function open(): Promise<Socket> {
  const socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/** Closes a connection with an error, as undici does. */
async function close(socket: Socket, error?: Error): Promise<void> {
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.destroy(error);
  await closed;
}

/** Closes a connection as undici does when its server has closed it. */
const closeByServer = (socket: Socket) => close(socket, new errors.SocketError("other side closed"));

/** Uses a connection for one request, which ends at once. */
async function use(connections: ReturnType<typeof createIdleConnections>, origin: string): Promise<Socket> {
  const socket = await open();
  connections.released(connections.used(socket, origin));
  return socket;
}

describe("an idle connection", () => {
  test("is closed a second before its server closed another one", async () => {
    let nowMs = 0;
    const connections = createIdleConnections(LIMITS, () => nowMs);
    const first = await use(connections, "https://a");
    nowMs = 2_100;
    await closeByServer(first);
    const startedMs = performance.now();
    const second = await use(connections, "https://a");
    const other = await use(connections, "https://b");
    await once(second, "close");
    expect(performance.now() - startedMs).toBeGreaterThan(1_050);
    expect(connections.size).toBe(1);
    other.destroy();
  });

  test("is not closed earlier for what a server did ten minutes ago", async () => {
    let nowMs = 0;
    const connections = createIdleConnections(LIMITS, () => nowMs);
    const first = await use(connections, "https://a");
    nowMs = 1_000;
    await closeByServer(first);
    nowMs += 600_001;
    const second = await open();
    const connection = connections.used(second, "https://a");
    connections.released(connection);
    expect(connection.timer).toBeUndefined();
    second.destroy();
  });

  test("tells nothing about its server when this process closed it", async () => {
    let nowMs = 0;
    const connections = createIdleConnections(LIMITS, () => nowMs);
    for (const error of [undefined, new errors.InformationalError("socket idle timeout")]) {
      const socket = await use(connections, "https://a");
      nowMs += 3_000;
      await close(socket, error);
    }
    const socket = await open();
    const connection = connections.used(socket, "https://a");
    connections.released(connection);
    expect(connection.timer).toBeUndefined();
    socket.destroy();
  });

  test("is no longer idle while a request uses it, and counts once", async () => {
    const connections = createIdleConnections(LIMITS);
    const socket = await use(connections, "https://a");
    expect(connections.size).toBe(1);
    const connection = connections.used(socket, "https://a");
    expect(connections.size).toBe(0);
    connections.released(connection);
    connections.released(connection);
    expect(connections.size).toBe(1);
    socket.destroy();
    await once(socket, "close");
    expect(connections.size).toBe(0);
  });

  test("is closed after a request that ends when the connection is ten minutes old", async () => {
    let nowMs = 0;
    const connections = createIdleConnections(LIMITS, () => nowMs);
    const socket = await use(connections, "https://a");
    nowMs = MAX_AGE_MS - 1;
    connections.released(connections.used(socket, "https://a"));
    await new Promise(setImmediate);
    expect(socket.destroyed).toBe(false);
    const connection = connections.used(socket, "https://a");
    nowMs = MAX_AGE_MS;
    connections.released(connection);
    await once(socket, "close");
    expect(connections.size).toBe(0);
  });

  test("does not leave for one that its server's answer closes at once", async () => {
    const connections = createIdleConnections({ total: 2, perOrigin: 2 });
    const kept = [await use(connections, "https://a"), await use(connections, "https://b")];
    const closing = await use(connections, "https://c");
    await close(closing, new errors.InformationalError("reset"));
    await new Promise(setImmediate);
    expect(kept.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    const third = await use(connections, "https://c");
    await once(kept[0] as Socket, "close");
    expect(connections.size).toBe(2);
    for (const socket of [third, ...kept]) socket.destroy();
  });
});

test("origins without connections are remembered up to a limit; the one that closed its last connection first leaves", async () => {
  let nowMs = 0;
  const connections = createIdleConnections({ ...LIMITS, remembered: 2 }, () => nowMs);
  for (const name of ["https://a", "https://b", "https://c"]) {
    const socket = await use(connections, name);
    nowMs += 2_000;
    await closeByServer(socket);
  }
  /** Whether a new connection is closed earlier because of what the server did. */
  const isRemembered = async (name: string) => {
    const socket = await open();
    const connection = connections.used(socket, name);
    connections.released(connection);
    const { timer } = connection;
    await close(socket);
    return timer !== undefined;
  };
  expect(await isRemembered("https://a")).toBe(false);
  expect(await isRemembered("https://b")).toBe(true);
  expect(await isRemembered("https://c")).toBe(true);
});
