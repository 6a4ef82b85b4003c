import * as crypto from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { hmacBase64, toNodeKeys } from "./webhook-node.ts";

test("the HMAC of two one-shot hashes is that of Node's Hmac, for keys and bodies of any length", () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 200, size: "max" });
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 300, size: "max" }),
    fc.nat(20_000).map((length) => new Uint8Array(length).fill(7)),
  );
  fc.assert(
    fc.property(
      key,
      fc.stringMatching(/^[A-Za-z0-9_-]{1,128}\.[0-9]{1,12}\.$/),
      body,
      (bytes, prefix, of) => {
        const [shared] = toNodeKeys(`whsec_${Buffer.from(bytes).toString("base64")}`);
        if (shared?.version !== "v1") throw new Error("not a shared key");
        const expected = crypto.createHmac("sha256", bytes).update(prefix).update(of).digest("base64");
        expect(hmacBase64(shared, prefix, of)).toBe(expected);
      },
    ),
    { numRuns: 300 },
  );
});

test("a key that was made before is used again, and the oldest of 256 is forgotten", () => {
  const secretOf = (n: number) => `whsec_${Buffer.from(`secret ${n}`).toString("base64")}`;
  const [first] = toNodeKeys(secretOf(0));
  expect(toNodeKeys(secretOf(0))[0]).toBe(first);
  for (let n = 1; n <= 256; n++) toNodeKeys(secretOf(n));
  expect(toNodeKeys(secretOf(0))[0]).not.toBe(first);
});
