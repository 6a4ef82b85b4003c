import { expect, test } from "vitest";
import { reached } from "../support/reached.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

/** How long one of the two dispatchers does not run. */
const STALL_MS = 8_000;

test("nothing of a healthy project is late by more than a second when one of two dispatchers stalls", async () => {
  await using scene = await openFaultScene({ dispatchers: 2, healthyJobs: 40 });
  const pid = scene.mesh.pids().dispatcher?.[0];
  if (pid === undefined) throw new Error("There is no dispatcher.");
  const startMs = nextSecond(2_000);
  await reached(startMs + 300);
  process.kill(pid, "SIGSTOP");
  try {
    await reached(startMs + 300 + STALL_MS);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  // What the stalled dispatcher cannot have held: it was handed over after the stall had begun.
  const after = await scene.healthy.between(startMs + 6_000, startMs + STALL_MS);
  console.log(`handed over during a stall of ${STALL_MS} ms: ${JSON.stringify(after)}`);
  expect(after.worstMs).toBeLessThan(1_000);
  const all = await scene.healthy.between(startMs, startMs + STALL_MS + 3_000);
  console.log(`all, with what the stalled dispatcher held: ${JSON.stringify(all)}`);
  expect(all.worstMs).toBeLessThan(1_000);
});
