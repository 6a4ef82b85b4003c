import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { type Agent, request } from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConnectFailed, createEgressAgent, EgressBlocked, type EgressOptions } from "./egress.ts";
import { DENY_NOTHING, denyOwnHost, parseAllowList, parseDenyList } from "./egress-address.ts";
import { type AddressResolver, readHosts } from "./egress-lookup.ts";

// These tests treat 127.0.0.2 as a public address and 127.0.0.1 as a private one, so no request leaves the machine.
const PUBLIC = parseAllowList("127.0.0.2/32");

let server: Server;
let port: number;
let reached: number;
let agent: Agent | undefined;

beforeEach(async () => {
  reached = 0;
  server = createServer((_, response) => {
    reached += 1;
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  await agent?.destroy();
  agent = undefined;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A resolver that gives these answers one after the other, and then the last one again and again. */
function answers(...lists: string[][]): AddressResolver & { asked: string[] } {
  const asked: string[] = [];
  const resolve4 = async (name: string) => {
    asked.push(name);
    return (lists.length > 1 ? lists.shift() : lists[0]) ?? [];
  };
  const notFound = () => Promise.reject(Object.assign(new Error("queryAaaa ENODATA"), { code: "ENODATA" }));
  return { asked, resolve4: resolve4 as AddressResolver["resolve4"], resolve6: notFound };
}

async function get(url: string, options: Partial<EgressOptions> = {}) {
  agent ??= createEgressAgent({
    allow: PUBLIC,
    connectionsPerOrigin: 2,
    connectTimeoutMs: 1_000,
    ...options,
  });
  const { statusCode, body } = await request(url, { dispatcher: agent, reset: true });
  await body.dump();
  return statusCode;
}

const blocked = (why: EgressBlocked["why"]) => ({ name: "EgressBlocked", why });

describe("the guard", () => {
  test("allows a public IP address in the URL", async () => {
    expect(await get(`http://127.0.0.2:${port}/`)).toBe(200);
  });

  test.each([
    "http://127.0.0.1",
    "http://2130706433",
    "http://0x7f.1",
    "http://[::ffff:127.0.0.1]",
    "http://[::1]",
    "http://0.0.0.0",
    "https://127.0.0.1",
  ])("refuses the literal %s without dialling", async (origin) => {
    await expect(get(`${origin}:${port}/`)).rejects.toBeInstanceOf(EgressBlocked);
    expect(reached).toBe(0);
  });

  test("connects to the address that DNS returned, and asks DNS for the absolute name", async () => {
    const resolver = answers(["127.0.0.2"]);
    expect(await get(`http://hooks.acme.io:${port}/`, { resolver })).toBe(200);
    expect(resolver.asked).toEqual(["hooks.acme.io."]);
  });

  test.each([[["127.0.0.1"]], [["127.0.0.2", "127.0.0.1"]], [["169.254.169.254"]]])(
    "refuses a name whose addresses are %j, and does not show the addresses",
    async (addresses) => {
      const error = await get(`http://hooks.acme.io:${port}/`, { resolver: answers(addresses) }).catch(
        (e: Error) => e,
      );
      expect(error).toBeInstanceOf(EgressBlocked);
      expect(error).toMatchObject(blocked("address"));
      expect((error as Error).message).not.toMatch(/\d/);
      expect(reached).toBe(0);
    },
  );

  test("looks a name up for each connection, and refuses it once its address is private", async () => {
    const resolver = answers(["127.0.0.2"], ["127.0.0.1"]);
    expect(await get(`http://hooks.acme.io:${port}/`, { resolver })).toBe(200);
    await expect(get(`http://hooks.acme.io:${port}/`)).rejects.toBeInstanceOf(EgressBlocked);
    expect(reached).toBe(1);
  });

  test("passes on the error of DNS", async () => {
    const fail = () => Promise.reject(Object.assign(new Error("queryA ENOTFOUND x"), { code: "ENOTFOUND" }));
    await expect(
      get("http://nobody.acme.io/", { resolver: { resolve4: fail, resolve6: fail } }),
    ).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  test("finds localhost without DNS, and calls it only if the allow list contains it", async () => {
    const resolver = answers(["127.0.0.2"]);
    const url = `http://localhost:${port}/`;
    expect(await get(url, { resolver, allow: parseAllowList("127.0.0.1/32") })).toBe(200);
    await agent?.destroy();
    agent = undefined;
    await expect(get(url, { resolver })).rejects.toBeInstanceOf(EgressBlocked);
    expect(resolver.asked).toEqual([]);
  });

  test("refuses a denied address and a denied name, also in the hosts file", async () => {
    const deny = parseDenyList("127.0.0.2,api.acme.io");
    const resolver = answers(["127.0.0.2"]);
    const hosts = new Map([["eu.api.acme.io", ["127.0.0.3"]]]);
    const options = { allow: parseAllowList("127.0.0.0/8"), deny, resolver, hosts };
    for (const host of ["127.0.0.2", "hooks.acme.io", "api.acme.io", "eu.api.acme.io"])
      await expect(get(`http://${host}:${port}/`, options)).rejects.toMatchObject(blocked("denied"));
    expect(reached).toBe(0);
    expect(await get(`http://127.0.0.3:${port}/`)).toBe(200);
  });

  test("refuses the host of this installation, but not the names below it, unless its addresses are allowed", async () => {
    const deny = denyOwnHost(DENY_NOTHING, "https://Api.acme.io:8443/cron");
    const hosts = new Map([
      ["api.acme.io", ["127.0.0.2"]],
      ["eu.api.acme.io", ["127.0.0.2"]],
    ]);
    const notListed = { allow: [], deny, hosts };
    await expect(get(`http://api.acme.io:${port}/`, notListed)).rejects.toMatchObject(blocked("denied"));
    await expect(get(`http://eu.api.acme.io:${port}/`)).rejects.toMatchObject(blocked("address"));
    await agent?.destroy();
    agent = undefined;
    expect(await get(`http://api.acme.io:${port}/`, { allow: PUBLIC, deny, hosts })).toBe(200);
  });

  test("refuses the address of this installation unless it is allowed", async () => {
    const deny = denyOwnHost(DENY_NOTHING, "http://203.0.113.7/");
    await expect(get("http://203.0.113.7:8443/", { deny })).rejects.toMatchObject(blocked("denied"));
    await agent?.destroy();
    agent = undefined;
    const own = denyOwnHost(DENY_NOTHING, "http://127.0.0.2/");
    expect(await get(`http://127.0.0.2:${port}/`, { deny: own })).toBe(200);
  });

  test("refuses a port of another protocol before it asks DNS", async () => {
    const resolver = answers(["127.0.0.2"]);
    await expect(get("http://hooks.acme.io:25/", { resolver })).rejects.toMatchObject(blocked("port"));
    await expect(get("http://127.0.0.3:25/", { resolver })).rejects.toMatchObject(blocked("port"));
    expect(resolver.asked).toEqual([]);
    // The operator has allowed this address, so only the network refuses it.
    await expect(get("http://127.0.0.2:25/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("gives up when DNS does not answer", async () => {
    const never = () => new Promise<never>(() => {});
    await expect(
      get("http://slow.acme.io/", { resolver: { resolve4: never, resolve6: never }, connectTimeoutMs: 100 }),
    ).rejects.toMatchObject({ code: "ETIMEDOUT", phase: "dns" });
  });
});

test("a TLS handshake that stalls fails at the limit that it shares with the TCP connection, and says how long that took", async () => {
  const silent = createNetServer((socket) => socket.resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.2", resolve));
  const url = `https://127.0.0.2:${(silent.address() as AddressInfo).port}/`;
  const error = await get(url, { connectTimeoutMs: 150 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectFailed);
  expect(error).toMatchObject({ phase: "tls", limitMs: 150, times: { connectMs: expect.any(Number) } });
  await agent?.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test("the agent does not follow a redirect", async () => {
  server.removeAllListeners("request");
  server.on("request", (_, response) => {
    reached += 1;
    response.writeHead(302, { location: `http://127.0.0.1:${port}/secret` }).end();
  });
  expect(await get(`http://127.0.0.2:${port}/`)).toBe(302);
  expect(reached).toBe(1);
});

test("readHosts reads a hosts file, and knows localhost without one", () => {
  expect(readHosts("/nonexistent").get("localhost")).toEqual(["127.0.0.1", "::1"]);
  expect(readHosts().get("localhost")).toContain("127.0.0.1");
});
