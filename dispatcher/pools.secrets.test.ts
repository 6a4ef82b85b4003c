import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  untilRecorded,
} from "./testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatcher = await ground.start();
});
afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

test("secrets and token keys that have to wait hold no connection that signing keys and specifications need", async () => {
  const { projectId } = await ground.addProject();
  const plain = eventOf(await ground.addJob(projectId, `${receiver.url}/plain`), Date.now() + 1_000);
  // Projects whose data keys have to be made, each in a transaction of its own; and many secrets.
  const waiting = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const auth = { bearer: { token: `sec_${"0".repeat(40)}` } };
      const target = { webhook: { url: `${receiver.url}/waiting`, auth } };
      return eventOf(
        await ground.addJob(randomId("proj"), "", { target, acknowledgement: { deadline: "60s" } }),
        Date.now(),
      );
    }),
  );
  const recorded = untilRecorded(dispatcher.events, [plain]);
  const lock = `lock table dispatcher.data_keys in share mode;
                lock table dispatcher.target_secrets in access exclusive mode`;
  await ground.whileHeld(lock, [], async () => {
    await dispatcher.accept([...waiting, plain]);
    const waiters = () =>
      ground.sql(
        `select application_name as pool, count(*)::integer as count from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' group by 1`,
      );
    await expect
      .poll(waiters, { interval: 20, timeout: 10_000 })
      .toEqual([{ pool: "easycron-dispatcher-secrets", count: 2 }]);
    await recorded;
  });
  expect(await ground.attemptsOf(plain.triggerId)).toMatchObject([{ outcome: "SUCCEEDED" }]);
});
