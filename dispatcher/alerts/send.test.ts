import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AlertReceiver, startAlertReceiver } from "../../test/support/alert-receiver.ts";
import type { AlertSentEvent } from "../events/events.ts";
import { createGround, type Ground, randomId, type TestDispatcher, type TestJob } from "../testing/ground.ts";

let ground: Ground;
let alerts: AlertReceiver;
let dispatcher: TestDispatcher;
/** What became of the attempts so far. */
const sent: AlertSentEvent[] = [];

beforeAll(async () => {
  ground = await createGround();
  alerts = await startAlertReceiver();
  dispatcher = await ground.start();
  dispatcher.events.on("alertSent", (event) => sent.push(event));
});
afterAll(async () => {
  await ground?.end();
  await alerts?.stop();
});

/** Adds a job with alerts at a path of the receiver, and with the epoch that says which revision is in effect. */
async function addJob(projectId: string, alertUrl: unknown): Promise<TestJob> {
  const target = { webhook: { url: alertUrl, method: "POST" } };
  const job = await ground.addJob(projectId, `${alerts.url}/job`, { alerts: { target } });
  await ground.sql(
    `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time)
     values ($1, 1, 'ACTIVE', 1, now(), now())`,
    [job.uid],
  );
  return job;
}

/** Alerts of a job to be stored. */
interface Given {
  readonly job: TestJob;
  readonly count?: number;
  readonly attempts?: number;
  /** For how long they have been due. */
  readonly dueSeconds?: number;
}

/** Stores alerts in one statement, and returns their ids. */
async function addAlerts(...given: readonly Given[]): Promise<string[]> {
  const rows = given.flatMap(({ job, count = 1, attempts = 0, dueSeconds = 0 }) =>
    Array.from({ length: count }, () => ({ id: randomId("alr"), job, attempts, dueSeconds })),
  );
  const ids = rows.map(({ id }) => id);
  await ground.sql(
    `insert into dispatcher.alerts (id, project_id, job_uid, event, body, attempt_count, create_time, due_time)
     select id, project, job, 'EXHAUSTED', '{}', attempts, now(), now() - make_interval(secs => seconds)
       from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[])
         as g (id, project, job, attempts, seconds)`,
    [
      ids,
      rows.map(({ job }) => job.projectId),
      rows.map(({ job }) => job.uid),
      rows.map(({ attempts }) => attempts),
      rows.map(({ dueSeconds }) => dueSeconds),
    ],
  );
  return ids;
}

/** Resolves with what became of the first attempt of an alert. */
async function untilSent(id: string): Promise<AlertSentEvent> {
  for (;;) {
    const found = sent.find((each) => each.id === id);
    if (found !== undefined) return found;
    await once(dispatcher.events, "alertSent");
  }
}

test("an alert whose job's alerts cannot be read is retried with pauses, and given up after the eighth attempt", async () => {
  const { projectId } = await ground.addProject();
  const job = await addJob(projectId, 7);
  const [first = ""] = await addAlerts({ job });
  const retried = await untilSent(first);
  expect(retried).toMatchObject({
    state: "PENDING",
    attempt: 1,
    error: expect.stringMatching(/cannot be read/),
  });
  const [row] = await ground.sql(
    "select extract(epoch from due_time - now()) < 10 as is_soon from dispatcher.alerts where id = $1",
    [first],
  );
  expect(row).toEqual({ is_soon: true });
  const [last = ""] = await addAlerts({ job, attempts: 7 });
  expect(await untilSent(last)).toMatchObject({ state: "EXHAUSTED", attempt: 8 });
});

test("thousands of due alerts of one project do not delay those of another, even while its own fail at once", async () => {
  const [flooded, calm] = [await ground.addProject(), await ground.addProject()];
  const flood = await addJob(flooded.projectId, 7);
  const job = await addJob(calm.projectId, `${alerts.url}/calm`);
  const ids = await addAlerts({ job: flood, count: 2_500, dueSeconds: 60 }, { job, dueSeconds: 1 });
  const id = ids.at(-1) ?? "";
  const { state } = await untilSent(id);
  expect(state).toBe("SUCCEEDED");
  // A look takes four alerts of each project, so these were the first looks.
  const before = sent.slice(
    0,
    sent.findIndex((each) => each.id === id),
  );
  expect(before.filter(({ jobUid }) => jobUid === flood.uid).length).toBeLessThanOrEqual(12);
});

/** Starts an endpoint that never answers. */
async function startHanging() {
  let requests = 0;
  const server = createServer(() => {
    requests += 1;
    server.emit("hanging");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when so many requests wait for an answer. */
    untilRequests: async (count: number) => {
      while (requests < count) await once(server, "hanging");
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("old alerts of twenty projects whose endpoints hang do not delay a new alert of another project", async () => {
  const hanging = await startHanging();
  try {
    const backlogs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { projectId } = await ground.addProject();
        return { job: await addJob(projectId, hanging.url), count: 300, dueSeconds: 3_600 + index };
      }),
    );
    const calm = await ground.addProject();
    const job = await addJob(calm.projectId, `${alerts.url}/calm-among-hanging`);
    await addAlerts(...backlogs);
    await hanging.untilRequests(48);
    const [id = ""] = await addAlerts({ job });
    const { state } = await untilSent(id);
    expect(state).toBe("SUCCEEDED");
    // None of the others had ended.
    const uids = new Set(backlogs.map((backlog) => backlog.job.uid));
    expect(sent.filter(({ jobUid }) => uids.has(jobUid))).toEqual([]);
  } finally {
    await ground.sql("delete from dispatcher.alerts where end_time is null");
    await hanging.stop();
  }
});
