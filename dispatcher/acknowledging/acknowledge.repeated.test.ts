import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { Acknowledgement } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { createGround, eventOf, type Ground, type TestDispatcher } from "../testing/ground.ts";

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

/** Delivers a trigger that wants an acknowledgement, acknowledges it, and returns what was sent. */
async function acknowledged(by: TestDispatcher) {
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, `${receiver.url}/`, { acknowledgement: { deadline: "600s" } });
  const event = eventOf(job, Date.now());
  await by.accept([event]);
  const request = await receiver.waitFor((all) => all.find((each) => each.id === event.triggerId));
  const token = String(request.headers["easycron-ack-token"]);
  const sent = { request: { id: event.triggerId, token, outcome: Acknowledgement.SUCCEEDED } };
  expect((await by.client.acknowledgeTrigger(sent)).response).toMatchObject({ isLate: false });
  return sent;
}

/** Nothing can be written to triggers meanwhile, but everything can be read. */
const whileUnwritable = <T>(work: () => Promise<T>) =>
  ground.whileHeld("lock table dispatcher.triggers in exclusive mode", [], work);

const ANSWER = { response: { isLate: false, trigger: { state: TriggerState.SUCCEEDED } } };

describe("an acknowledgement that is repeated", () => {
  test("is answered without a transaction that writes", async () => {
    const dispatcher = await ground.start();
    const sent = await acknowledged(dispatcher);
    await whileUnwritable(async () => {
      expect(await dispatcher.client.acknowledgeTrigger(sent)).toMatchObject(ANSWER);
      const other = { request: { ...sent.request, outcome: Acknowledgement.FAILED } };
      const written = dispatcher.client.acknowledgeTrigger(other);
      await ground.untilWaiting();
      return { written };
    }).then(async ({ written }) => expect((await written).response?.isLate).toBe(true));
    await dispatcher.stop(AbortSignal.abort());
  });

  test.runIf(hasRedis())("is recognised by each dispatcher, and counts once without Redis, too", async () => {
    const redis: TestRedis = await startTestRedis();
    const env = { REDIS_URL: redis.url };
    const [first, second] = await Promise.all([ground.start(env), ground.start(env)]);
    const admin = new Redis(redis.url, { protocol: 2 });
    const noted = async () => (await admin.keys("easycron:seen:*")).length;
    /** Acknowledges until it is noted in Redis: before, the dispatcher has not connected to it yet. */
    const acknowledgedInRedis = async (by: TestDispatcher) => {
      for (let tries = 0; tries < 15; tries += 1) {
        const before = await noted();
        const sent = await acknowledged(by);
        const isNoted = await vi.waitUntil(async () => (await noted()) > before).catch(() => false);
        if (isNoted) return sent;
      }
      throw new Error("The dispatcher does not use Redis.");
    };
    await acknowledgedInRedis(second);
    const sent = await acknowledgedInRedis(first);
    await whileUnwritable(async () =>
      expect(await second.client.acknowledgeTrigger(sent)).toMatchObject(ANSWER),
    );
    admin.disconnect();
    await redis.stop();
    expect(await second.client.acknowledgeTrigger(sent)).toMatchObject(ANSWER);
    await Promise.all([first, second].map((each) => each.stop(AbortSignal.abort())));
  });
});
