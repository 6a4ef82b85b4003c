import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Agent, request } from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEgressAgent, EgressBlocked, type EgressOptions } from "./egress.ts";
import { parseAllowList } from "./egress-address.ts";
import { type AddressResolver, readHosts } from "./egress-lookup.ts";

// 127.0.0.2 plays a public address, 127.0.0.1 a private one: nothing here leaves the machine.
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

/** A DNS that gives these answers in turn, the last one for ever. */
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

describe("the guard", () => {
  test("lets a public literal through", async () => {
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

  test("dials what DNS answered, asked by its absolute name", async () => {
    const resolver = answers(["127.0.0.2"]);
    expect(await get(`http://hooks.acme.io:${port}/`, { resolver })).toBe(200);
    expect(resolver.asked).toEqual(["hooks.acme.io."]);
  });

  test.each([[["127.0.0.1"]], [["127.0.0.2", "127.0.0.1"]], [["169.254.169.254"]]])(
    "refuses a name whose addresses are %j, and does not tell them",
    async (addresses) => {
      const error = await get(`http://hooks.acme.io:${port}/`, { resolver: answers(addresses) }).catch(
        (e: Error) => e,
      );
      expect(error).toBeInstanceOf(EgressBlocked);
      expect((error as Error).message).not.toMatch(/\d/);
      expect(reached).toBe(0);
    },
  );

  test("checks each connection anew, so that a name which moves inside is refused", async () => {
    const resolver = answers(["127.0.0.2"], ["127.0.0.1"]);
    expect(await get(`http://hooks.acme.io:${port}/`, { resolver })).toBe(200);
    await expect(get(`http://hooks.acme.io:${port}/`)).rejects.toBeInstanceOf(EgressBlocked);
    expect(reached).toBe(1);
  });

  test("passes on what DNS could not answer", async () => {
    const fail = () => Promise.reject(Object.assign(new Error("queryA ENOTFOUND x"), { code: "ENOTFOUND" }));
    await expect(
      get("http://nobody.acme.io/", { resolver: { resolve4: fail, resolve6: fail } }),
    ).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  test("knows localhost, and calls it only when it may", async () => {
    const resolver = answers(["127.0.0.2"]);
    const url = `http://localhost:${port}/`;
    expect(await get(url, { resolver, allow: parseAllowList("127.0.0.1/32") })).toBe(200);
    await agent?.destroy();
    agent = undefined;
    await expect(get(url, { resolver })).rejects.toBeInstanceOf(EgressBlocked);
    expect(resolver.asked).toEqual([]);
  });

  test("gives up a name that DNS is silent about", async () => {
    const never = () => new Promise<never>(() => {});
    await expect(
      get("http://slow.acme.io/", { resolver: { resolve4: never, resolve6: never }, connectTimeoutMs: 100 }),
    ).rejects.toMatchObject({ code: "UND_ERR_CONNECT_TIMEOUT" });
  });
});

test("does not follow a redirect", async () => {
  server.removeAllListeners("request");
  server.on("request", (_, response) => {
    reached += 1;
    response.writeHead(302, { location: `http://127.0.0.1:${port}/secret` }).end();
  });
  expect(await get(`http://127.0.0.2:${port}/`)).toBe(302);
  expect(reached).toBe(1);
});

test("reads the machine's hosts file, and does without it", () => {
  expect(readHosts("/nonexistent").get("localhost")).toEqual(["127.0.0.1", "::1"]);
  expect(readHosts().get("localhost")).toContain("127.0.0.1");
});
