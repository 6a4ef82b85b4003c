import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  type EventInit,
  eventOf,
  type Ground,
  type TestDispatcher,
  type TestJob,
  untilRecorded,
} from "../testing/ground.ts";

// Rows that cannot be read, such as damaged ones: a policy of row-level security throws for them.

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let bad: TestJob;
let healthy: TestJob;
let offsetMs = 0;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatcher = await ground.start({}, { clock: { now: () => Date.now() + offsetMs } });
  healthy = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/healthy`);
  await ground.sql("create table public.unreadable (id text)");
  await ground.sql(`create function public.read_or_throw(of_id text) returns boolean language plpgsql
    security definer as $$ begin
      if exists (select from public.unreadable where id = of_id) then raise 'the row % is damaged', of_id; end if;
      return true;
    end $$`);
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

/** Makes the rows of a table throw whose column has one of the values in `unreadable`. */
async function guard(table: string, column: string): Promise<void> {
  await ground.sql(
    `create policy guard on ${table} to easycron_dispatcher using (public.read_or_throw(${column}))`,
  );
  await ground.sql(`alter table ${table} enable row level security`);
}

const spoil = (id: string) => ground.sql("insert into public.unreadable values ($1)", [id]);
const listed = () => ground.sql("select * from dispatcher.set_aside");

afterEach(async () => {
  await ground.sql("truncate public.unreadable");
  for (const table of ["scheduler.revisions", "dispatcher.triggers", "dispatcher.attempts"]) {
    await ground.sql(`alter table ${table} disable row level security`);
    await ground.sql(`drop policy if exists guard on ${table}`);
  }
  offsetMs = 0;
});

const COUNT = 20;

/** A batch in which one trigger of a new, bad job stands between those of the healthy one. All are due at once. */
async function batchOf(path: string): Promise<{ all: EventInit[]; mine: EventInit; others: EventInit[] }> {
  bad = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/${path}`);
  const dueMs = Date.now() + 500;
  const others = Array.from({ length: COUNT }, (_, index) =>
    eventOf(healthy, dueMs + index, { effectiveTimeMs: BigInt(dueMs) }),
  );
  const mine = eventOf(bad, dueMs);
  return { all: others.toSpliced(COUNT / 2, 0, mine), mine, others };
}

const untilSetAside = () =>
  new Promise<object>((resolve) => dispatcher.events.once("setAside", (fields) => resolve(fields)));

describe("what fails alone is set aside, and delays no other:", () => {
  test("a specification that cannot be read", async () => {
    const { all, mine, others } = await batchOf("specification");
    await spoil(bad.uid);
    await guard("scheduler.revisions", "job_uid");
    const setAside = untilSetAside();
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(all);
    const id = `${bad.uid}/1`;
    expect(await setAside).toMatchObject({ kind: "specification", count: 1, ids: [id], pauseMs: 60_000 });
    await recorded;
    expect(await listed()).toMatchObject([
      {
        kind: "specification",
        id,
        project_id: bad.projectId,
        failures: 1,
        problem: `the row ${bad.uid} is damaged`,
      },
    ]);
    // A minute later, it fails again.
    const again = untilSetAside();
    offsetMs = 60_500;
    expect(await again).toMatchObject({ kind: "specification", pauseMs: 120_000 });
    // When it is tried again after that, it can be read.
    await ground.sql("truncate public.unreadable");
    const delivered = untilRecorded(dispatcher.events, [mine]);
    offsetMs = 181_000;
    await delivered;
    await expect.poll(listed).toEqual([]);
  });

  test("a trigger that cannot be claimed", async () => {
    const { all, mine, others } = await batchOf("trigger");
    const setAside = untilSetAside();
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(all);
    await spoil(mine.triggerId);
    await guard("dispatcher.triggers", "id");
    expect(await setAside).toMatchObject({ kind: "trigger", count: 1, ids: [mine.triggerId] });
    await recorded;
    expect(await listed()).toMatchObject([{ kind: "trigger", id: mine.triggerId, job_uid: bad.uid }]);
    await ground.sql("truncate public.unreadable");
    const delivered = untilRecorded(dispatcher.events, [mine]);
    offsetMs = 60_500;
    await delivered;
    await expect.poll(listed).toEqual([]);
  });

  test("a result that cannot be stored", async () => {
    const { all, mine, others } = await batchOf("result");
    const ends: (() => void)[] = [];
    receiver.answer("/result", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
    receiver.answer("/healthy", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(all);
    await receiver.waitFor(() => ends.length > COUNT);
    await spoil(mine.triggerId);
    await guard("dispatcher.triggers", "id");
    const setAside = untilSetAside();
    receiver.answer("/healthy", () => ({ status: 200 }));
    for (const end of ends) end();
    expect(await setAside).toMatchObject({ kind: "result", count: 1 });
    await recorded;
    expect(await listed()).toMatchObject([{ kind: "result", job_uid: bad.uid, project_id: bad.projectId }]);
    // The trigger is not delivered again meanwhile.
    expect(receiver.requests.filter(({ path }) => path === "/result")).toHaveLength(1);
    await ground.sql("delete from dispatcher.set_aside");
  });
});

test("a result whose texts are refused is stored without them, and its trigger comes to rest", async () => {
  const { all, mine, others } = await batchOf("texts");
  receiver.answer("/texts", () => ({ status: 200, body: "poison" }));
  await ground.sql(
    "alter table dispatcher.attempts add constraint no_poison check (response_body <> 'poison')",
  );
  await ground.sql(
    "alter table dispatcher.triggers add constraint no_poison check (first_response_body <> 'poison')",
  );
  const recorded = untilRecorded(dispatcher.events, all);
  await dispatcher.accept(all);
  await recorded;
  const states = await ground.sql("select distinct state from dispatcher.triggers where id = any ($1)", [
    all.map(({ triggerId }) => triggerId),
  ]);
  expect(states).toEqual([{ state: "SUCCEEDED" }]);
  expect(others).toHaveLength(COUNT);
  const attempts = await ground.sql("select * from dispatcher.attempts where trigger_id = $1", [
    mine.triggerId,
  ]);
  expect(attempts).toMatchObject([
    { outcome: "SUCCEEDED", response_body: "", error: expect.stringContaining("not stored") },
  ]);
  await ground.sql("alter table dispatcher.attempts drop constraint no_poison");
  await ground.sql("alter table dispatcher.triggers drop constraint no_poison");
});
