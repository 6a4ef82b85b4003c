import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SystemService } from "../gen/easycron/v1/system_service_pb.ts";
import { OPERATOR_KEY, PROJECT_KEY, type StartedGateway, startGateway } from "./testing/start-gateway.ts";

let gateway: StartedGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.close());

const ask = (key: string) => {
  const transport = createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" });
  const headers = { authorization: `Bearer ${key}` };
  return createClient(SystemService, transport).getServerInfo({}, { headers });
};

test.each([PROJECT_KEY, OPERATOR_KEY])("the key %s is told version, zone data and limits", async (key) => {
  const info = await ask(key);
  expect(info.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(info.zoneDataVersion).toMatch(/^20\d\d[a-z]$/);
  expect(info.limits).toMatchObject({
    maxRequestBytes: 1_048_576,
    maxPayloadBytes: 65_536,
    minRateMs: 1_000,
  });
});

test("an unknown key is told nothing", async () => {
  await expect(ask("wrong")).rejects.toThrow("No live API key");
});
