import { expect, test } from "vitest";
import { createRounds } from "./rounds.ts";

test("rounds give each group one turn after the other, however many items a group has", () => {
  const rounds = createRounds<{ groupId: string; name: string }>();
  const push = (groupId: string, name: string) => rounds.push({ groupId, name });
  for (let each = 0; each < 100; each++) push("many", `m${each}`);
  push("few", "f0");
  push("few", "f1");
  push("one", "o0");
  const names = Array.from({ length: 7 }, () => rounds.shift()?.name);
  expect(names).toEqual(["m0", "f0", "o0", "m1", "f1", "m2", "m3"]);
  push("one", "o1");
  expect([rounds.shift()?.name, rounds.shift()?.name]).toEqual(["m4", "o1"]);
  for (let each = 5; each < 100; each++) expect(rounds.shift()?.name).toBe(`m${each}`);
  expect(rounds.shift()).toBeUndefined();
});

test("rounds keep the order of the pushes while groups become empty and get items again", () => {
  const rounds = createRounds<{ groupId: string; name: string }>();
  const groups = ["a", "b", "a", "c", "c", "b", "a"];
  for (const [index, groupId] of groups.entries()) {
    rounds.push({ groupId, name: `${groupId}${index}` });
    expect(rounds.shift()?.name).toBe(`${groupId}${index}`);
    expect(rounds.shift()).toBeUndefined();
  }
  for (const name of ["a0", "a1", "a2", "c0"]) rounds.push({ groupId: name.slice(0, 1), name });
  expect([rounds.shift()?.name, rounds.shift()?.name]).toEqual(["a0", "c0"]);
  rounds.push({ groupId: "a", name: "a3" });
  const names = Array.from({ length: 4 }, () => rounds.shift()?.name);
  expect(names).toEqual(["a1", "a2", "a3", undefined]);
});
