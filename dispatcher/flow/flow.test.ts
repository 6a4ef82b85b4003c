import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";

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
    await dispatcher.accept(events);
    await receiver.waitFor((all) => all.some(({ id }) => id === first?.triggerId));
    await receiver.waitFor((all) => all.some(({ id }) => id === third?.triggerId));
    await expect.poll(() => view(second?.triggerId ?? "")).toMatchObject({ waiting_for: "FLOW" });
    expect(await view(second?.triggerId ?? "")).toMatchObject({ state: "PENDING", attempt_count: 0 });
    end.resolve();
    await receiver.waitFor((all) => all.some(({ id }) => id === second?.triggerId));
    await recorded;
    const ended = await view(second?.triggerId ?? "");
    expect(ended).toMatchObject({ state: "SUCCEEDED", attempt_count: 1, waiting_for: null });
    expect(ended.waited_until - ended.waiting_since).toBeGreaterThan(200);
  });
});
