import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import { createGround, eventOf, type Ground, untilCounted } from "./testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const rowOf = async (id: string) =>
  (await ground.sql("select state, owner, attempt_count from dispatcher.triggers where id = $1", [id]))[0];

const arrivalsOf = (id: string) => receiver.requests.filter((request) => request.id === id);

/** Makes an endpoint that answers when it is told to. */
function slowEndpoint(path: string): { answer(status: number): void } {
  const answers: ((status: number) => void)[] = [];
  receiver.answer(path, () => new Promise((resolve) => answers.push((status) => resolve({ status }))));
  return {
    answer: (status) => {
      for (const answer of answers) answer(status);
    },
  };
}

test("a dispatcher that stops gives up what is due later before it delivers what is due soon", async () => {
  // Its clock stands still, so what is due soon does not become due.
  const nowMs = Date.now();
  const leaving = await ground.start({}, { clock: { now: () => nowMs } });
  const job = await ground.addJob(projectId, `${receiver.url}/standing`);
  const [soon, near] = [eventOf(job, nowMs + 1_000), eventOf(job, nowMs + 9_000)];
  await leaving.accept([soon, near]);
  const stopped = leaving.stop();
  const owners = async () => {
    const rows = await ground.sql("select id, owner from dispatcher.triggers where job_uid = $1", [job.uid]);
    const isOwned = (id: string | undefined) => rows.find((row) => row.id === id)?.owner !== null;
    return { soon: isOwned(soon.triggerId), near: isOwned(near.triggerId) };
  };
  let seen = await owners();
  while (seen.near) seen = await owners();
  expect(seen).toEqual({ soon: true, near: false });
  await stopped;
  expect(await owners()).toEqual({ soon: false, near: false });
});

test("while a dispatcher that stops waits for an attempt in flight, another one delivers what it held", async () => {
  const leaving = await ground.start();
  const slow = slowEndpoint("/in-flight");
  const inFlight = eventOf(await ground.addJob(projectId, `${receiver.url}/in-flight`), Date.now());
  const later = eventOf(await ground.addJob(projectId, `${receiver.url}/later`), Date.now() + 8_000);
  await leaving.accept([inFlight, later]);
  await receiver.waitFor((all) => all.find(({ id }) => id === inFlight.triggerId));
  const other = await ground.start();
  const taken = untilCounted(other.events, "taken", ({ count }) => count, 1);
  const stopped = leaving.stop();
  await taken;
  const arrived = await receiver.waitFor((all) => all.find(({ id }) => id === later.triggerId));
  expect(arrived.arrivedMs).toBeGreaterThanOrEqual(Number(later.nominalTimeMs));
  expect(await rowOf(inFlight.triggerId ?? "")).toMatchObject({ state: "RUNNING", attempt_count: 1 });
  slow.answer(200);
  await stopped;
  expect(await rowOf(inFlight.triggerId ?? "")).toMatchObject({ state: "SUCCEEDED", attempt_count: 1 });
  expect(arrivalsOf(inFlight.triggerId ?? "")).toHaveLength(1);
  expect(arrivalsOf(later.triggerId ?? "")).toHaveLength(1);
  await other.stop();
});

test("a dispatcher that stops delivers what is due before another one could take it", async () => {
  const leaving = await ground.start();
  const soon = eventOf(await ground.addJob(projectId, `${receiver.url}/soon`), Date.now() + 700);
  await leaving.accept([soon]);
  await leaving.stop();
  expect(await rowOf(soon.triggerId ?? "")).toMatchObject({ state: "SUCCEEDED", owner: null });
  expect(arrivalsOf(soon.triggerId ?? "")).toHaveLength(1);
});

test("a retry that a stopping dispatcher plans is given up, so that another one makes it in time", async () => {
  const leaving = await ground.start();
  const slow = slowEndpoint("/retried");
  const retryPolicy = { maxAttempts: 5, minBackoff: "3s", maxBackoff: "3s", maxAge: "60s" };
  const first = eventOf(
    await ground.addJob(projectId, `${receiver.url}/retried`, { retryPolicy }),
    Date.now(),
  );
  const second = slowEndpoint("/second");
  const held = eventOf(await ground.addJob(projectId, `${receiver.url}/second`), Date.now());
  await leaving.accept([first, held]);
  await receiver.waitFor((all) => arrivalsOf(first.triggerId ?? "").length > 0 && all.length > 0);
  await receiver.waitFor(() => arrivalsOf(held.triggerId ?? "").length > 0);
  const recorded = untilCounted(leaving.events, "recorded", ({ triggerIds }) => triggerIds.length, 1);
  const stopped = leaving.stop();
  slow.answer(503);
  await recorded;
  await expect
    .poll(() => rowOf(first.triggerId ?? ""), { interval: 20 })
    .toMatchObject({ state: "RETRYING", owner: null });
  second.answer(200);
  await stopped;
});

test("a dispatcher that is told to hurry does not wait for its attempt in flight, and releases it", async () => {
  const leaving = await ground.start();
  const slow = slowEndpoint("/hurried");
  const event = eventOf(await ground.addJob(projectId, `${receiver.url}/hurried`), Date.now());
  await leaving.accept([event]);
  await receiver.waitFor((all) => all.find(({ id }) => id === event.triggerId));
  await leaving.stop(AbortSignal.abort());
  expect(await rowOf(event.triggerId ?? "")).toMatchObject({ state: "RETRYING", owner: null });
  slow.answer(200);
});
