import { fromString, getType, toUUID } from "typeid-js";
import { expect, test } from "vitest";
import { newAttemptId } from "./attempt-id.ts";

test("an attempt id is a TypeID of a UUIDv7 of its time, as typeid-js reads it", () => {
  const nowMs = 1_780_000_000_123;
  const ids = Array.from({ length: 2_000 }, () => newAttemptId(nowMs));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    const parsed = fromString(id, "att");
    expect(getType(parsed)).toBe("att");
    const uuid = toUUID(parsed);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16)).toBe(nowMs);
  }
});
