import { create } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { ListFireTimesRequestSchema } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { everySecond, openBench, PROJECT } from "../testing/bench.ts";
import { listFireTimes } from "./list-fire-times.ts";

const START = Date.UTC(2026, 0, 1);

test("the ledger shows how late each trigger is, and whose part of it is how long", async () => {
  const bench = await openBench(START);
  const job = await bench.createJob(everySecond("payroll"));
  bench.setTime(START + 3_000);
  await bench.tick.run();
  const [once, again] = await bench.triggersOf(job.uid);
  const past = `update dispatcher.triggers set state = 'EXHAUSTED', end_time = now(), attempt_count = $2,
    start_time = effective_time + interval '0.25 seconds' where id = $1`;
  await bench.spoil("dispatcher", past, [once?.id, 1]);
  await bench.spoil("dispatcher", past, [again?.id, 2]);
  await bench.spoil(
    "dispatcher",
    `insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms)
     select id, fire_time, n, 'att_' || n, 'REJECTED', start_time + (n - 1) * interval '7 seconds', 5
       from dispatcher.triggers, generate_series(1, 2) as n where id = $1`,
    [again?.id],
  );
  const request = create(ListFireTimesRequestSchema, { job: "payroll" });
  const { fireTimes = [] } = await listFireTimes(bench.parts, PROJECT, request);
  const ms = (part: unknown) => durationMs(part as Duration);
  const parts = fireTimes.slice(0, 2).map(({ trigger }) => {
    const { lateness } = trigger ?? {};
    return lateness && [ms(lateness.total), ms(lateness.ours), ms(lateness.theirs)];
  });
  expect(parts).toEqual([
    [250, 250, 0],
    [7_250, 250, 7_000],
  ]);
  await bench.close();
});
