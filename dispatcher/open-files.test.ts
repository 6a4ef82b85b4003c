import { expect, test } from "vitest";
import { attemptsFor, idleConnectionsFor, readLimits } from "./open-files.ts";

const limits = (hard: string) => `Limit                     Soft Limit           Hard Limit           Units
Max processes             95986                95986                processes
Max open files            1024                 ${hard}                 files
Max locked memory         8388608              8388608              bytes
`;

test("a dispatcher has no more attempts in flight than its limit of open files allows", () => {
  expect(attemptsFor(8_192, limits("524288"))).toBe(8_192);
  expect(attemptsFor(8_192, limits("4096"))).toBe(3_096);
  expect(attemptsFor(8_192, limits("512"))).toBe(256);
  expect(attemptsFor(8_192, limits("unlimited"))).toBe(8_192);
  expect(attemptsFor(8_192, undefined)).toBe(8_192);
  if (process.platform === "linux") expect(readLimits()).toMatch(/^Max open files/m);
});

test("a dispatcher keeps no more idle connections than half of the files that its attempts leave", () => {
  expect(idleConnectionsFor(1_024, 8_192, limits("524288"))).toBe(1_024);
  expect(idleConnectionsFor(1_024, 3_096, limits("4096"))).toBe(500);
  expect(idleConnectionsFor(1_024, 256, limits("512"))).toBe(128);
  expect(idleConnectionsFor(1_024, 8_192, undefined)).toBe(1_024);
});
