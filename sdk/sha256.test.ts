import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { sha256 } from "./sha256.ts";

test("SHA-256 is that of Node for every length up to three blocks, and for text outside ASCII", () => {
  const texts = Array.from({ length: 193 }, (_, length) => "a".repeat(length));
  for (const text of [...texts, "é😀\n".repeat(50)]) {
    expect(Buffer.from(sha256(Buffer.from(text))).toString("hex")).toBe(
      createHash("sha256").update(text).digest("hex"),
    );
  }
});
