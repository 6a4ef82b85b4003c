import { expect, test } from "vitest";
import { createFairCache } from "./fair-cache.ts";

// Each entry takes 200 bytes and its text.
const lengthOf = ({ length }: string) => length;
const text = "a".repeat(56);

test("an owner that has much loses its own texts, the oldest first, and no other owner does", () => {
  const cache = createFairCache(20 * 256, lengthOf);
  cache.set("small", "1", text);
  for (let n = 0; n < 1_000; n++) cache.set("big", String(n), text);
  expect(cache.get("small", "1")).toBe(text);
  const kept = Array.from({ length: 1_000 }, (_, n) => n).filter(
    (n) => cache.get("big", String(n)) !== undefined,
  );
  expect(kept).toEqual(Array.from({ length: 19 }, (_, n) => 981 + n));
});

test("owners with one text each lose the oldest", () => {
  const cache = createFairCache(3 * 256, lengthOf);
  for (let n = 0; n < 5; n++) cache.set(`owner ${n}`, "1", text);
  expect([0, 1, 2, 3, 4].map((n) => cache.get(`owner ${n}`, "1") !== undefined)).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
});

test("a text that is set again counts once, and one that is larger than the cache is not kept", () => {
  const cache = createFairCache(2 * 256, lengthOf);
  for (let n = 0; n < 10; n++) cache.set("a", "1", text);
  cache.set("a", "2", text);
  expect([cache.get("a", "1"), cache.get("a", "2")]).toEqual([text, text]);
  cache.set("a", "1", text.toUpperCase());
  expect([cache.get("a", "1"), cache.get("a", "2")]).toEqual([text.toUpperCase(), text]);
  cache.set("b", "1", "a".repeat(1_000));
  expect(cache.get("b", "1")).toBeUndefined();
});
