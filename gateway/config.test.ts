import { expect, test } from "vitest";
import { isAllowedAddress } from "../mesh/egress-address.ts";
import { readConfig } from "./config.ts";

const good = {
  DATABASE_URL: "postgres://easycron_gateway:p@127.0.0.1:5432/easycron",
  EASYCRON_SCHEDULER_ADDRESSES: "127.0.0.1:1",
  EASYCRON_DISPATCHER_ADDRESSES: "127.0.0.1:2,127.0.0.1:3",
  EASYCRON_OPERATOR_KEY_HASH: "ab".repeat(32),
};

test("the configuration has defaults, and allows no private address", () => {
  const config = readConfig(good);
  expect(config).toMatchObject({
    listen: "127.0.0.1:8080",
    dispatcherAddresses: ["127.0.0.1:2", "127.0.0.1:3"],
    reflection: "off",
    keyKind: "live",
  });
  expect(config.operatorKeyHash).toEqual(Buffer.alloc(32, 0xab));
  expect(isAllowedAddress("127.0.0.1", config.egressAllow)).toBe(false);
});

test("the configuration reads the allowed ranges", () => {
  const { egressAllow } = readConfig({ ...good, EASYCRON_EGRESS_ALLOW: "127.0.0.0/8,::1/128" });
  expect(isAllowedAddress("::1", egressAllow)).toBe(true);
});

test("a configuration error names every wrong variable, and shows no secret", () => {
  const bad = { ...good, EASYCRON_OPERATOR_KEY_HASH: "hunter2", EASYCRON_EGRESS_ALLOW: "10/8" };
  expect(() => readConfig(bad)).toThrow(
    "EASYCRON_OPERATOR_KEY_HASH is (secret); it must be 64 hex digits: the SHA-256 of the operator's key. " +
      'EASYCRON_EGRESS_ALLOW is "10/8"; it must be address ranges such as 127.0.0.0/8,::1/128.',
  );
  expect(() => readConfig({ ...good, EASYCRON_GATEWAY_PORT: "1" })).toThrow("EASYCRON_GATEWAY_PORT is set");
});
