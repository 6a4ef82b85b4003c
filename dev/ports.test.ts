import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { findFreePorts, whyTaken } from "./ports.ts";

test("findFreePorts returns different free ports outside the range of outgoing connections", async () => {
  const ports = await findFreePorts(8);
  expect(new Set(ports).size).toBe(8);
  for (const port of ports) {
    expect(port).toBeLessThan(32_768);
    expect(await whyTaken(port)).toBeUndefined();
  }
});

test.each(["127.0.0.1", "0.0.0.0"])(
  "a port with a listener on %s is reported as taken, and is preferred only when it is free again",
  async (host) => {
    const server = createServer().listen(0, host);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    expect(await whyTaken(port)).toBe("EADDRINUSE");
    expect(await findFreePorts(1, port)).not.toContain(port);
    server.close();
    await once(server, "close");
    expect(await findFreePorts(2, port)).toContain(port);
  },
);
