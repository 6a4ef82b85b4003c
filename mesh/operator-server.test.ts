import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { type OperatorServer, startOperatorServer } from "./operator-server.ts";
import type { Readiness } from "./readiness.ts";

let server: OperatorServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const logger = { warn: () => {} };

async function start(readiness: Readiness, readMetrics?: () => Promise<string>) {
  server = await startOperatorServer({
    listen: "127.0.0.1:0",
    readiness: () => readiness,
    readMetrics,
    logger,
  });
  const url = `http://127.0.0.1:${server.port}`;
  return async (path: string, method = "GET") => {
    const response = await fetch(`${url}${path}`, { method });
    return [response.status, await response.text()];
  };
}

test("a process that has a problem is alive and does not serve, and says why", async () => {
  const ask = await start({ problems: ["The lease has run out."], warnings: ["audits are late."] });
  expect(await ask("/healthz")).toEqual([200, "The process is alive.\n"]);
  expect(await ask("/readyz")).toEqual([503, "The lease has run out.\nWarning: audits are late.\n"]);
});

test("a warning does not keep a process from serving", async () => {
  const ask = await start({ problems: [], warnings: ["audits are late."] });
  expect(await ask("/readyz?verbose")).toEqual([200, "The process serves.\nWarning: audits are late.\n"]);
});

test("only GET and HEAD are answered, and only the three paths", async () => {
  const ask = await start({ problems: [], warnings: [] });
  expect(await ask("/healthz", "HEAD")).toEqual([200, ""]);
  expect((await ask("/healthz", "POST"))[0]).toBe(405);
  expect((await ask("/"))[0]).toBe(404);
  expect(await ask("/metrics")).toEqual([404, "Metrics are turned off.\n"]);
});

test("all who ask while the measures are read get one reading", async () => {
  let readings = 0;
  const reading = Promise.withResolvers<string>();
  server = await startOperatorServer({
    listen: "127.0.0.1:0",
    // It is the last of the three requests of one connection.
    readiness: () => {
      reading.resolve("a 1\n");
      return { problems: [], warnings: [] };
    },
    readMetrics: () => {
      readings += 1;
      return reading.promise;
    },
    logger,
  });
  const socket = connect(server.port, "127.0.0.1");
  const ask = (path: string, rest = "") => `GET ${path} HTTP/1.1\r\nhost: x\r\n${rest}\r\n`;
  socket.write(ask("/metrics") + ask("/metrics") + ask("/readyz", "connection: close\r\n"));
  const answers = await text(socket);
  expect(answers.match(/a 1\n/g)).toHaveLength(2);
  expect(readings).toBe(1);
});

test("a reading that fails is answered and logged", async () => {
  const ask = await start({ problems: [], warnings: [] }, () => Promise.reject(new Error("broken")));
  expect(await ask("/metrics")).toEqual([500, "The measures could not be read; the log says why.\n"]);
});

test("an address that is taken is named", async () => {
  await start({ problems: [], warnings: [] });
  const listen = `127.0.0.1:${server?.port}`;
  const again = startOperatorServer({
    listen,
    readiness: () => ({ problems: [], warnings: [] }),
    readMetrics: undefined,
    logger,
  });
  await expect(again).rejects.toThrow(`Cannot listen on ${listen} (EASYCRON_METRICS_LISTEN)`);
});
