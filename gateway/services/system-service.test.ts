import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SystemService } from "../../gen/easycron/v1/system_service_pb.ts";
import { OPERATOR_KEY, PROJECT_KEY, type StartedGateway, startGateway } from "../testing/start-gateway.ts";

let gateway: StartedGateway;
beforeAll(async () => {
  gateway = await startGateway({
    scheduler: {
      getZoneData: async () => ({
        version: "2026a",
        nextVersion: "2026b",
        nextTime: timestampFromMs(Date.UTC(2026, 5, 1)),
      }),
    },
  });
});
afterAll(() => gateway.close());

const ask = (key: string) => {
  const transport = createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" });
  const headers = { authorization: `Bearer ${key}` };
  return createClient(SystemService, transport).getServerInfo({}, { headers });
};

test.each([PROJECT_KEY, OPERATOR_KEY])(
  "a call with the key %s returns version, zone data and limits",
  async (key) => {
    const info = await ask(key);
    expect(info.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(info.zoneDataVersion).toBe("2026a");
    expect(info.nextZoneDataVersion).toBe("2026b");
    expect(info.nextZoneDataTime && timestampMs(info.nextZoneDataTime)).toBe(Date.UTC(2026, 5, 1));
    expect(info.limits).toMatchObject({
      maxRequestBytes: 1_048_576,
      maxPayloadBytes: 65_536,
      minRateMs: 1_000,
    });
  },
);

test("a call with an unknown key is refused", async () => {
  await expect(ask("wrong")).rejects.toThrow("The API key is not valid");
});
