import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createKeys, hashOperatorKey, readKeys, writeKeys } from "./keys.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "easycron-keys-"));
  path = join(directory, "keys.json");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("keys.json is read back as it was written, and only its owner may read it", () => {
  expect(readKeys(path)).toBeUndefined();
  const demo = { project: "proj_1", apiKey: "ec_test_1", signingSecret: "whsec_1" };
  const keys = { ...createKeys(), demo };
  writeKeys(path, keys);
  expect(readKeys(path)).toEqual(keys);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["keys.json"]);
});

test("two sets of new keys differ in every key, and each key is long enough", () => {
  const [one, other] = [createKeys(), createKeys()];
  expect(Buffer.from(one.masterKey, "base64").length).toBe(32);
  expect(new Set([...Object.values(one.passwords), ...Object.values(other.passwords)]).size).toBe(8);
  expect(hashOperatorKey(one.operatorKey)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashOperatorKey(one.operatorKey)).not.toBe(hashOperatorKey(other.operatorKey));
});

test.each([
  ["cut short", '{"masterKey":"'],
  ["empty", ""],
  ["not an object of keys", "[]"],
  ["without a password", JSON.stringify({ ...createKeys(), passwords: {} })],
  ["with a short master key", JSON.stringify({ ...createKeys(), masterKey: "AAAA" })],
  ["with a short previous master key", JSON.stringify({ ...createKeys(), previousMasterKey: "AAAA" })],
])("a keys.json that is %s is reported as damaged, and is not replaced", (_name, text) => {
  writeFileSync(path, text);
  expect(() => readKeys(path)).toThrow(`${path} is damaged`);
  expect(statSync(path).size).toBe(text.length);
});
