import { afterAll, beforeAll, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, untilRecorded } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

test("lanes send late triggers to a slow receiver on half of its places, and delay none that is on time", async () => {
  const dispatcher = await ground.start({ EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY: "4" });
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, `${receiver.url}/slow`);
  const ends: (() => void)[] = [];
  receiver.answer("/slow", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
  const now = Date.now();
  const late = Array.from({ length: 20 }, (_, index) =>
    eventOf(job, now - 60_000 + index, {
      effectiveTimeMs: BigInt(now),
      kind: index % 2 === 0 ? TriggerKind.CATCHUP : TriggerKind.BACKFILL,
    }),
  );
  const recorded = untilRecorded(dispatcher.events, late);
  await dispatcher.accept(late);
  await receiver.waitFor((all) => all.length === 2);
  const onTime = [TriggerKind.SCHEDULED, TriggerKind.MANUAL].map((kind) =>
    eventOf(job, Date.now(), { kind }),
  );
  await dispatcher.accept(onTime);
  const arrived = await receiver.waitFor((all) => (all.length >= 4 ? all.slice(2) : undefined));
  expect(arrived.map(({ id }) => id).toSorted()).toEqual(onTime.map(({ triggerId }) => triggerId).toSorted());
  receiver.answer("/slow", () => ({ status: 200 }));
  for (const end of ends) end();
  await recorded;
});
