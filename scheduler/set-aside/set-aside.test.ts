import { afterEach, beforeEach, expect, test } from "vitest";
import { pauseJob } from "../changes/pause-job.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { setAsideOf } from "./set-aside.sql.ts";
import { forgetSetAside, putBack, setAside } from "./set-aside.ts";

const START = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const trouble = (id: string, problem = "It cannot be read.") => ({
  id,
  projectId: "proj_a",
  problem,
  error: new Error("no"),
});
const found = async (...ids: string[]) =>
  (await bench.parts.database.query(setAsideOf, ["job", ids])).map(({ id }) => id).sort();

test("what is set aside is put back one by one, by its kind", async () => {
  const { database } = bench.parts;
  await setAside(database, "job", [trouble("job_a"), trouble("job_b"), trouble("job_a")], START);
  await setAside(database, "deletion", [trouble("job_a")], START);
  expect(await found("job_a", "job_b", "job_c")).toEqual(["job_a", "job_b"]);
  await putBack(database, "job", ["job_a"]);
  expect(await found("job_a", "job_b")).toEqual(["job_b"]);
  expect(await database.query(setAsideOf, ["deletion", ["job_a"]])).toHaveLength(1);
});

test("a problem is stored whatever characters it holds, and cut to 500", async () => {
  const text = `\0 and \ud800 ${"x".repeat(1_000)}`;
  const error = new Error(text);
  await setAside(bench.parts.database, "job", [{ ...trouble("job_a", text), error }], START);
  const [row] = await bench.parts.database.query(setAsideOf, ["job", ["job_a"]]);
  expect(row?.problem).toMatch(/^\ufffd and \ufffd x+$/);
  expect(row?.problem).toHaveLength(500);
});

test("what has not been tried for a day is forgotten", async () => {
  const { database } = bench.parts;
  await setAside(database, "backfill", [trouble("old")], START);
  await setAside(database, "backfill", [trouble("new")], START + 1);
  await forgetSetAside(database, START + DAY + 1);
  expect(await database.query(setAsideOf, ["backfill", ["old", "new"]])).toMatchObject([{ id: "new" }]);
});

test("a job that no tick looks at any more is forgotten when it would be tried again", async () => {
  const { database } = bench.parts;
  const [active, paused] = [
    await bench.createJob(everySecond("active")),
    await bench.createJob(everySecond("paused")),
  ];
  await setAside(database, "job", [trouble(active.uid), trouble(paused.uid)], START);
  await pauseJob(bench.parts, { projectId: PROJECT, name: "paused" }, { note: "", untilMs: null });
  await forgetSetAside(database, START + 60_000);
  expect(await found(active.uid, paused.uid)).toEqual([active.uid]);
});
