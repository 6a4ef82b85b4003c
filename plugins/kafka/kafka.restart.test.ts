import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KafkaServer } from "../../dev/kafka-server.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { pause } from "../../mesh/pause.ts";
import { startTestKafka, whyNoTestKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { readTopic } from "./testing/clients.ts";
import { batchOf, messageFor, newProjectId, provisionRequest, settingsFor } from "./testing/space.ts";

const { SUCCEEDED, UNKNOWN } = AttemptOutcome;
const MESSAGES = 10_000;
const BATCH = 100;

describe.skipIf(whyNoTestKafka() !== undefined)("a Kafka that is killed or hangs", () => {
  const cleanUp: (() => unknown)[] = [];
  const projectId = newProjectId();
  const soon = () => AbortSignal.timeout(20_000);
  let server: KafkaServer;
  let plugin: ReturnType<typeof createKafkaPlugin>;

  beforeAll(async () => {
    server = await startTestKafka();
    cleanUp.push(() => server.stop());
    plugin = createKafkaPlugin(settingsFor(server));
    cleanUp.push(() => plugin.close());
    const topics = [{ name: "many", partitions: 4 }, { name: "hung" }];
    await plugin.provision(provisionRequest(projectId, { topics }), soon());
  }, 60_000);
  afterAll(async () => {
    for (const step of cleanUp.reverse()) await step();
  }, 60_000);

  test("leaves an outcome that is not known at the deadline, and the next batch is written when it goes on", async () => {
    const deliver = (ms: number) =>
      plugin.deliver(batchOf(projectId, [messageFor({ topic: "hung" })]), AbortSignal.timeout(ms));
    expect(await deliver(20_000)).toMatchObject([{ outcome: SUCCEEDED }]);
    process.kill(server.pid ?? 0, "SIGSTOP");
    const startMs = performance.now();
    const hung = await deliver(300);
    const tookMs = performance.now() - startMs;
    process.kill(server.pid ?? 0, "SIGCONT");
    expect(hung).toMatchObject([
      { outcome: UNKNOWN, error: expect.stringContaining("may have been written") },
    ]);
    expect(tookMs).toBeLessThan(2_000);
    expect(await deliver(20_000)).toMatchObject([{ outcome: SUCCEEDED }]);
  }, 60_000);

  test(`loses none of ${MESSAGES} messages when it is killed with -9 and started again in the middle`, async () => {
    const messages = Array.from({ length: MESSAGES }, (_, index) =>
      messageFor({ topic: "many", key: `key-${index % 50}` }, { triggerId: `trg_${index}` }),
    );
    const batches = Array.from({ length: MESSAGES / BATCH }, (_, index) =>
      messages.slice(index * BATCH, (index + 1) * BATCH),
    );
    let done = 0;
    let failed = 0;
    let killed: Promise<void> | undefined;
    // As the dispatcher does: what has not succeeded is tried again, until it has.
    const deliverAll = async () => {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
        for (let left = batch; left.length > 0; ) {
          const deliveries = await plugin.deliver(batchOf(projectId, left), soon());
          left = left.filter((_, index) => deliveries[index]?.outcome !== SUCCEEDED);
          failed += left.length;
          if (left.length > 0) await pause(100);
        }
        done += BATCH;
        if (done >= MESSAGES / 2) killed ??= server.kill9();
      }
    };
    await Promise.all([deliverAll(), deliverAll(), deliverAll()]);
    await killed;
    const ids = (await readTopic(server, `${projectId}.many`)).map(({ headers }) => headers.ce_id);
    const copies = ids.length - MESSAGES;
    console.info(`Kafka was killed once: ${failed} messages tried again, 0 lost, ${copies} copies.`);
    expect(failed).toBeGreaterThan(0);
    expect(new Set(ids)).toEqual(new Set(messages.map(({ triggerId }) => triggerId)));
    // A batch that was under way may be there twice, one of each caller.
    expect(copies).toBeLessThanOrEqual(3 * BATCH);
  }, 120_000);
});
