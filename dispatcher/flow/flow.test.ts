import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  untilRecorded,
} from "../testing/ground.ts";
import { triggerShowWait } from "./waits.sql.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatcher = await ground.start();
});

afterAll(async () => {
  await ground?.end();
  await receiver?.stop();
});

const view = async (id: string) => {
  const [row] = await ground.sql(
    `select state, attempt_count, waiting_for, waiting_since, waited_until, owner from dispatcher.triggers where id = $1`,
    [id],
  );
  return row;
};

describe("a trigger whose flow key has no place", () => {
  test("waits in PENDING without an attempt, is shown to wait, and is delivered when a place is free", async () => {
    const { projectId } = await ground.addProject();
    const flow = { key: "crm", maxInFlight: 1 };
    const [one, other] = [
      await ground.addJob(projectId, `${receiver.url}/one`, { flow }),
      await ground.addJob(projectId, `${receiver.url}/other`, { flow }),
    ];
    const free = await ground.addJob(projectId, `${receiver.url}/free`);
    const end = Promise.withResolvers<void>();
    receiver.answer("/one", async () => {
      await end.promise;
      return { status: 200 };
    });
    const now = Date.now();
    const events = [eventOf(one, now), eventOf(other, now + 20), eventOf(free, now + 20)];
    const [first, second, third] = events;
    const recorded = untilRecorded(dispatcher.events, events);
    await dispatcher.accept(events.filter((event) => event !== second));
    await receiver.waitFor((all) => all.some(({ id }) => id === first?.triggerId));
    await receiver.waitFor((all) => all.some(({ id }) => id === third?.triggerId));
    // Only now, so that the first one surely has the place.
    await dispatcher.accept(events.filter((event) => event === second));
    await expect
      .poll(() => view(second?.triggerId ?? ""), { timeout: 10_000 })
      .toMatchObject({ waiting_for: "FLOW" });
    expect(await view(second?.triggerId ?? "")).toMatchObject({ state: "PENDING", attempt_count: 0 });
    // Over connections of its own: those for results must be free, whatever waits.
    expect(await ground.poolsOf(triggerShowWait)).toEqual(["easycron-dispatcher-waits"]);
    end.resolve();
    await receiver.waitFor((all) => all.some(({ id }) => id === second?.triggerId));
    await recorded;
    const ended = await view(second?.triggerId ?? "");
    expect(ended).toMatchObject({ state: "SUCCEEDED", attempt_count: 1, waiting_for: null });
    expect(ended.waited_until - ended.waiting_since).toBeGreaterThan(200);
  });

  test("is put off without an owner and without an attempt when very many wait before it", async () => {
    const { projectId } = await ground.addProject();
    const job = await ground.addJob(projectId, `${receiver.url}/many`, {
      flow: { key: "many", maxInFlight: 50 },
    });
    const end = Promise.withResolvers<void>();
    receiver.answer("/many", async () => {
      await end.promise;
      return { status: 200 };
    });
    const now = Date.now();
    const events = Array.from({ length: 1_061 }, (_, index) => eventOf(job, now + index, { seq: index + 1 }));
    await dispatcher.accept(events.slice(0, 1_000));
    await dispatcher.accept(events.slice(1_000));
    const counts = async () => {
      const [row] = await ground.sql(
        `select count(*)::integer as waiting, sum(t.attempt_count)::integer as attempts,
                count(*) filter (where t.owner is null)::integer as put_off,
                min(extract(epoch from t.due_time - now())) filter (where t.owner is null)::float8 as least_s
           from dispatcher.triggers t where t.job_uid = $1 and t.state = 'PENDING' and t.waiting_for = 'FLOW'`,
        [job.uid],
      );
      return row;
    };
    // Of these, 50 are in flight, and 1,000 wait in memory.
    await expect
      .poll(counts, { timeout: 20_000 })
      .toMatchObject({ waiting: 1_011, attempts: 0, put_off: 11 });
    expect((await counts()).least_s).toBeGreaterThan(5);
    // What was put off is not taken before it is due, and then as any other trigger.
    await ground.sql(
      "update dispatcher.triggers set due_time = now() where job_uid = $1 and owner is null and state = 'PENDING'",
      [job.uid],
    );
    const sent = () => receiver.requests.filter(({ path }) => path === "/many");
    end.resolve();
    await receiver.waitFor(() => new Set(sent().map(({ id }) => id)).size === events.length, 60_000);
    expect(sent()).toHaveLength(events.length);
  });

  test("is delivered by another dispatcher when its own has died, with one attempt and the whole wait", async () => {
    const { projectId } = await ground.addProject();
    const flow = { key: "died", ratePerSecond: 100 };
    const job = await ground.addJob(projectId, `${receiver.url}/died`, { flow });
    const id = randomId("trg");
    const owner = "inst_00000000-0000-0000-0000-00000000dead";
    await ground.sql("insert into dispatcher.instances values ($1, now(), now() - interval '1 second')", [
      owner,
    ]);
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
         kind, state, seq, attempt_count, owner, create_time, waiting_for, waiting_since)
       select $1, at, at, at, $2, $3, $4, 1, 'SCHEDULED', 'PENDING', 1, 0, $5, at, 'FLOW', at + interval '1 second'
         from (select date_trunc('milliseconds', now()) - interval '9 seconds' as at) as nine`,
      [id, projectId, job.uid, job.name, owner],
    );
    await receiver.waitFor((all) => all.some((each) => each.id === id));
    await expect
      .poll(() => view(id), { timeout: 10_000 })
      .toMatchObject({ state: "SUCCEEDED", attempt_count: 1, waiting_for: null });
    const { response } = await dispatcher.client.getTrigger({ projectId, request: { id } });
    expect(Number(response?.trigger?.lateness?.theirs?.seconds)).toBeGreaterThanOrEqual(7);
    expect(Number(response?.trigger?.lateness?.ours?.seconds)).toBe(1);
  });
});
