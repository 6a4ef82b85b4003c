import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readNewest, unfitness } from "./results.ts";

const GOOD = { options: { jobs: 10 }, otherWorkCores: 0.05 };

test("the newest result of a benchmark is read, and not that of one whose name begins alike", () => {
  const folder = mkdtempSync(join(tmpdir(), "easycron-results-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const names = ["rate-20260101T000000000Z", "rate-20260102T000000000Z", "rate-extra-20260103T000000000Z"];
  for (const bench of names) writeFileSync(join(folder, `${bench}.json`), JSON.stringify({ bench }));
  expect(readNewest("rate", folder)?.bench).toBe("rate-20260102T000000000Z");
  expect(readNewest("idle", folder)).toBeUndefined();
});

test("a result without a figure of other work, or of a busy machine, or with other options, is unfit", () => {
  expect(unfitness(GOOD, { jobs: 10 })).toBeUndefined();
  expect(unfitness({ ...GOOD, otherWorkCores: 0.5 }, { jobs: 10 })).toMatch(/0\.50 cores/);
  expect(unfitness(GOOD, { jobs: 20 })).toMatch(/--jobs 10/);
  expect(unfitness({ options: { jobs: 10 } }, { jobs: 10 })).toMatch(/before/);
  expect(unfitness({ ...GOOD, problem: "It lost 1." }, { jobs: 10 })).toMatch(/It lost 1/);
});
