import { expect, test } from "vitest";
import { createLogger } from "../mesh/logger.ts";
import { createSending } from "./attempt-parts.ts";
import { readConfig } from "./config.ts";
import { createEvents } from "./events/events.ts";

async function logOf(change: NodeJS.ProcessEnv): Promise<{ level: number; msg: string }[]> {
  const env = {
    EASYCRON_DISPATCHER_LISTEN: "127.0.0.1:0",
    DATABASE_URL: "postgres://u:p@127.0.0.1:5432/easycron",
    EASYCRON_MASTER_KEY: Buffer.alloc(32, 9).toString("base64"),
    EASYCRON_DISPATCHER_DELIVERY_CONCURRENCY: "1",
    ...change,
  };
  const lines: string[] = [];
  const logger = createLogger("dispatcher", {}, { write: (line) => lines.push(line) });
  await createSending(readConfig(env), createEvents(), logger).clients.close();
  return lines.map((line) => JSON.parse(line));
}

test("a dispatcher without a public URL says so, and one with it does not", async () => {
  expect(await logOf({})).toMatchObject([
    { level: 30, msg: "EASYCRON_PUBLIC_URL is not set, so no webhook has the header easycron-ack-url" },
  ]);
  expect(await logOf({ EASYCRON_PUBLIC_URL: "https://api.example.com" })).toEqual([]);
});

test("a dispatcher whose webhooks may reach addresses that are not public warns of it", async () => {
  const env = { EASYCRON_PUBLIC_URL: "https://api.example.com", EASYCRON_EGRESS_ALLOW: "10.0.0.0/8" };
  expect(await logOf(env)).toMatchObject([
    { level: 40, msg: expect.stringContaining("EASYCRON_EGRESS_ALLOW"), ranges: ["10.0.0.0/8"] },
  ]);
});
