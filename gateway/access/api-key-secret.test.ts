import { expect, test } from "vitest";
import { createApiKeySecret, hashSecret, toSecretPrefix } from "./api-key-secret.ts";

test("a secret has 43 characters of base62 behind its prefix, each place taking every character", () => {
  const secrets = Array.from({ length: 2_000 }, () => createApiKeySecret("live"));
  for (const secret of secrets) expect(secret).toMatch(/^ec_live_[0-9A-Za-z]{43}$/);
  expect(new Set(secrets).size).toBe(2_000);
  expect(new Set(secrets.map((secret) => secret.at(-1))).size).toBe(62);
});

test("a secret for tests says so, and its prefix shows four random characters", () => {
  const secret = createApiKeySecret("test");
  expect(secret).toMatch(/^ec_test_[0-9A-Za-z]{43}$/);
  expect(toSecretPrefix(secret)).toBe(secret.slice(0, "ec_test_".length + 4));
});

test("the hash of a secret is its SHA-256", () => {
  expect(hashSecret("abc").toString("hex")).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
