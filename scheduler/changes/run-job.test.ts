import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { Parts } from "../parts.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import type { RefusedEvent } from "../turns/hand-over.ts";
import { runJob } from "./run-job.ts";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(Date.UTC(2026, 0, 1));
  await bench.createJob(everySecond("report"));
});
afterEach(() => bench.close());

/** Runs the job while the first `times` hand-overs are answered with a refusal. */
async function runWith(refusal: Omit<RefusedEvent, "triggerId">, times: number) {
  const sent: string[] = [];
  const send = async ([event]: readonly TriggerEventInit[]): Promise<readonly RefusedEvent[]> => {
    const triggerId = event?.triggerId ?? "";
    sent.push(triggerId);
    return sent.length <= times ? [{ triggerId, ...refusal }] : [];
  };
  const getTrigger = async ({ request }: { request?: { id?: string } }) => ({
    response: { trigger: { id: request?.id } },
  });
  const dispatcher = { ...bench.parts.dispatcher, getTrigger } as unknown as Parts["dispatcher"];
  const parts = { ...bench.parts, dispatcher, handOver: { ...bench.parts.handOver, send } };
  const request = create(RunJobRequestSchema, { name: "report", requestId: "once" });
  return { sent, run: runJob(parts, PROJECT, request) };
}

describe("a run of a job", () => {
  test("is handed over again, under the same id, when a change had locked the job", async () => {
    const { sent, run } = await runWith({ problem: "locked", isTransient: true }, 2);
    const { id } = await run;
    expect(sent).toEqual([id, id, id]);
  });

  test("fails with SERVICE_UNAVAILABLE when the job stays locked", async () => {
    const { run } = await runWith({ problem: "locked", isTransient: true }, 100);
    await expect(run).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  });

  test("fails with INTERNAL when the dispatcher cannot record it", async () => {
    const { sent, run } = await runWith({ problem: "too long", isTransient: false }, 100);
    await expect(run).rejects.toMatchObject({ reason: "INTERNAL" });
    expect(sent).toHaveLength(1);
  });
});
