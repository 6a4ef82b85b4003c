import { describe, expect, test } from "vitest";
import { isAllowedAddress, isDeniedName, parseAllowList, parseDenyList } from "./egress-address.ts";

const none = parseAllowList("");

describe("an address that is not public is refused", () => {
  test.each([
    ...["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255"],
    ...["169.254.169.254", "169.254.169.253", "169.254.169.123", "169.254.170.2", "169.254.170.23"],
    ...[
      "172.16.0.1",
      "172.31.255.255",
      "192.0.0.192",
      "192.0.2.1",
      "192.168.0.1",
      "198.18.0.1",
      "198.51.100.1",
    ],
    ...["203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16"],
    ...["::", "::1", "::7f00:1", "::a9fe:a9fe", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1"],
    ...[
      "::ffff:168.63.129.16",
      "64:ff9b::7f00:1",
      "64:ff9b:1::1",
      "100::1",
      "100:0:0:1::1",
      "1000::1",
      "4000::1",
    ],
    ...[
      "2001::1",
      "2001:db8::1",
      "2002:7f00:1::",
      "3fff::1",
      "5f00::1",
      "fc00::1",
      "fd00:ec2::254",
      "fd20:ce::254",
    ],
    ...[
      "fe80::1",
      "fe80::a9fe:a9fe",
      "fec0::1",
      "ff02::1",
      "2606:4700::5efe:7f00:1",
      "2606:4700::200:5efe:7f00:1",
    ],
    ...["", "localhost", "2130706433", "127.1", "0x7f.1", "[::1]", "1.1.1.1 ", "fe80::1%eth0"],
  ])("%s", (address) => {
    expect(isAllowedAddress(address, none)).toBe(false);
  });
});

test.each([
  "1.1.1.1",
  "8.8.8.8",
  "93.184.216.34",
  "2606:4700:4700::1111",
  "2a00:1450:4001:81b::200e",
  "::ffff:8.8.8.8",
])("the public address %s is allowed", (address) => {
  expect(isAllowedAddress(address, none)).toBe(true);
});

describe("an allow list", () => {
  const allow = parseAllowList(" 127.0.0.0/8, ::1/128,10.1.0.0/16 ");

  test.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["::ffff:127.0.0.1", true],
    ["::1", true],
    ["10.1.2.3", true],
    ["10.2.2.3", false],
    ["::2", false],
    ["169.254.169.254", false],
    ["8.8.8.8", true],
  ])("allows the address %s: %j", (address, allowed) => {
    expect(isAllowedAddress(address, allow)).toBe(allowed);
  });

  test.each([
    "127.0.0.1",
    "127.0.0.0/33",
    "::1/129",
    "10/8",
    "localhost/8",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "x",
  ])("that reads %j is refused", (text) => {
    expect(() => parseAllowList(text)).toThrow(`"${text}" is not a range`);
  });
});

describe("a deny list", () => {
  const deny = parseDenyList(" 203.0.113.7, 1.1.1.0/24,2606:4700::/32, API.acme.io ");

  test.each([
    ["1.1.1.1", false],
    ["::ffff:1.1.1.1", false],
    ["1.1.2.1", true],
    ["2606:4700:4700::1111", false],
    ["2a00:1450:4001:81b::200e", true],
  ])("allows the address %s: %j", (address, allowed) => {
    expect(isAllowedAddress(address, none, deny)).toBe(allowed);
  });

  test("counts more than an allow list", () => {
    const allow = parseAllowList("203.0.113.0/24");
    expect(isAllowedAddress("203.0.113.8", allow, deny)).toBe(true);
    expect(isAllowedAddress("203.0.113.7", allow, deny)).toBe(false);
  });

  test("denies its names and the names below them", () => {
    for (const name of ["api.acme.io", "eu.api.acme.io"]) expect(isDeniedName(name, deny)).toBe(true);
    for (const name of ["acme.io", "xapi.acme.io", "api.acme.io.evil.io"])
      expect(isDeniedName(name, deny)).toBe(false);
  });

  test.each(["acme", "api.acme.io:443", "https://acme.io", "1.2.3", "1.2.3.4/33", "*.acme.io"])(
    "that reads %j is refused",
    (text) => {
      expect(() => parseDenyList(text)).toThrow(`"${text}" is not a range`);
    },
  );
});
