import { afterAll, describe, expect, test } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { readTopic } from "./testing/clients.ts";
import { batchOf, messageFor, newProjectId, provisionRequest, settingsFor } from "./testing/space.ts";

describe.skipIf(!(await hasKafka()))("delivering to Kafka", async () => {
  const kafka = await joinKafka();
  const plugin = createKafkaPlugin(settingsFor(kafka));
  afterAll(() => plugin.close());
  const soon = () => AbortSignal.timeout(15_000);

  test("writes a message", async () => {
    const projectId = newProjectId();
    console.time("provision");
    await plugin.provision(provisionRequest(projectId), soon());
    console.timeEnd("provision");
    console.time("first");
    console.log(await plugin.deliver(batchOf(projectId, [messageFor({ topic: "orders" })]), soon()));
    console.timeEnd("first");
    console.time("second");
    console.log(await plugin.deliver(batchOf(projectId, [messageFor({ topic: "orders" })]), soon()));
    console.timeEnd("second");
    console.time("read");
    console.log(await readTopic(kafka, `${projectId}.orders`));
    console.timeEnd("read");
    console.log(await plugin.measureUsage([projectId], soon()));
    console.log(await plugin.describe());
    await plugin.remove(projectId, soon());
    console.log(await plugin.measureUsage([projectId], soon()));
    expect(AttemptOutcome.SUCCEEDED).toBe(1);
  });
});
