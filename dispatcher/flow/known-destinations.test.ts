import { expect, test } from "vitest";
import { createKnownDestinations, MAX_KNOWN, MAX_OF_PROJECT } from "./known-destinations.ts";

test("a project with very many failing destinations leaves room for those of others", () => {
  let full = 0;
  const known = createKnownDestinations(() => {
    full += 1;
  });
  for (let each = 0; each <= MAX_OF_PROJECT; each++) known.add("proj_1", `https://${each}.example`, 0);
  expect([known.size, full]).toEqual([MAX_OF_PROJECT, 0]);
  const other = known.add("proj_2", "https://a.example", 0);
  expect(known.get("proj_2", "https://a.example")).toBe(other);
  const first = known.get("proj_1", "https://0.example");
  if (first === undefined) throw new Error("It is known.");
  known.remove(first);
  expect(known.add("proj_1", "https://again.example", 0)).toBeDefined();
});

test("a destination that is left out, although its project has room, is reported", () => {
  let full = 0;
  const known = createKnownDestinations(() => {
    full += 1;
  });
  for (let each = 0; each <= MAX_KNOWN; each++) known.add(`proj_${each}`, "https://a.example", 0);
  expect([known.size, full]).toEqual([MAX_KNOWN, 1]);
});
