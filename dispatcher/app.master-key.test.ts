import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import { createMasterKeys } from "./signing-keys/master-keys.ts";
import {
  createGround,
  eventOf,
  type Ground,
  MASTER_KEY,
  type TestDispatcher,
  type TestJob,
} from "./testing/ground.ts";

const NEW_KEY = Buffer.alloc(32, 8);
const BOTH = {
  EASYCRON_MASTER_KEY: NEW_KEY.toString("base64"),
  EASYCRON_PREVIOUS_MASTER_KEY: MASTER_KEY.toString("base64"),
};
const [oldId, newId] = [MASTER_KEY, NEW_KEY].map((bytes) => createMasterKeys(bytes).wanted.id);

let ground: Ground;
let receiver: Receiver;

beforeAll(async () => {
  ground = await createGround();
});
afterAll(async () => {
  await ground.end();
  await receiver?.stop();
});

/** Sends triggers of each job through each dispatcher, and waits until all have arrived. */
async function fire(dispatchers: readonly TestDispatcher[], jobs: readonly TestJob[]): Promise<void> {
  const batches = dispatchers.map(() => jobs.map((job) => eventOf(job, Date.now())));
  await Promise.all(batches.map((batch, index) => dispatchers[index]?.accept(batch)));
  const missing = new Set(batches.flat().map(({ triggerId }) => triggerId));
  await receiver.waitFor((requests) => {
    for (const { id } of requests) missing.delete(id);
    return missing.size === 0;
  });
}

async function readMasterKeys(): Promise<unknown> {
  const rows = await ground.sql(
    "select key_id from dispatcher.master_key union all select master_key_id from dispatcher.data_keys",
  );
  return rows.map(({ key_id }) => key_id);
}

test("the master key is replaced while triggers are signed: each arrives, and is signed with its project's key", async () => {
  const projects = [await ground.addProject(), await ground.addProject()];
  receiver = await startReceiver({ secrets: projects.map(({ secret }) => secret) });
  const jobs = await Promise.all(projects.map(({ projectId }) => ground.addJob(projectId, receiver.url)));
  const before = [await ground.start(), await ground.start()];
  await fire(before, jobs);

  const during = [await ground.start(BOTH)];
  await fire([...before, ...during], jobs);
  await before[0]?.stop();
  during.push(await ground.start(BOTH));
  await fire([...before.slice(1), ...during], jobs);
  expect(await readMasterKeys()).toEqual([oldId, oldId, oldId]);
  await expect(ground.start({ EASYCRON_MASTER_KEY: BOTH.EASYCRON_MASTER_KEY })).rejects.toThrow(
    `are sealed with the key ${oldId}.`,
  );

  await before[1]?.stop();
  for (;;) {
    await fire(during, jobs);
    const ids = (await readMasterKeys()) as readonly string[];
    if (ids.every((id) => id === newId)) break;
  }
  await expect(ground.start()).rejects.toThrow(`are sealed with the key ${newId}.`);
  const after = [await ground.start({ EASYCRON_MASTER_KEY: BOTH.EASYCRON_MASTER_KEY })];
  await fire([...during, ...after], jobs);
  await Promise.all(during.map((dispatcher) => dispatcher.stop()));
  await fire(after, jobs);
  expect(receiver.strays).toEqual([]);
});

test("a dispatcher that was stalled while the master key was replaced by one that it does not have ends, and takes no lease", async () => {
  // Dispatchers of the tests above still run on their ground.
  const own = await createGround();
  const other = createMasterKeys(Buffer.alloc(32, 9)).wanted;
  const { promise, resolve } = Promise.withResolvers<Error>();
  const env = { EASYCRON_MASTER_KEY: BOTH.EASYCRON_MASTER_KEY };
  const dispatcher = await own.start(env, { endProcess: resolve });
  const leased: string[] = [];
  dispatcher.events.on("leased", ({ instance }) => leased.push(instance));
  // A live dispatcher with the other key: without one, this dispatcher would replace that key by its own.
  await own.sql(
    `insert into dispatcher.instances (id, start_time, lease_until, master_key_id)
     values ('inst_other', now(), now() + interval '1 hour', $1)`,
    [other.id],
  );
  await own.sql("update dispatcher.master_key set key_id = $1, check_value = $2", [
    other.id,
    other.checkValue,
  ]);
  await own.sql(
    "update dispatcher.instances set lease_until = now() - interval '1 second' where id <> 'inst_other'",
  );
  expect((await promise).message).toContain(`are sealed with the key ${other.id}.`);
  expect(leased).toEqual([]);
  await dispatcher.stop();
  await own.end();
});
