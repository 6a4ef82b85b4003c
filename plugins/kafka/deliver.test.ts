import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KafkaContentMode, KafkaPartitioning } from "../../gen/easycron/v1/target_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { readTopic, withAdmin } from "./testing/clients.ts";
import { batchOf, LIMITS, messageFor, newProjectId, provisionRequest, settingsFor } from "./testing/space.ts";

const { SUCCEEDED, REJECTED } = AttemptOutcome;

describe.skipIf(!(await hasKafka()))("delivering to Kafka", async () => {
  const kafka = await joinKafka();
  const plugin = createKafkaPlugin(settingsFor(kafka));
  const projectId = newProjectId();
  const soon = () => AbortSignal.timeout(15_000);
  const deliver = (messages: ReturnType<typeof messageFor>[], project = projectId) =>
    plugin.deliver(batchOf(project, messages), soon());

  beforeAll(async () => {
    const topics = [
      { name: "orders", partitions: 3 },
      { name: "small", partitions: 2 },
    ];
    await plugin.provision(provisionRequest(projectId, { topics }), soon());
  });
  afterAll(async () => {
    await plugin.remove(projectId, soon());
    await plugin.close();
  });

  test("makes no topic that differs from another one in dots and underscores only, and writes the others", async () => {
    await deliver([messageFor({ topic: "dot.ted" })]);
    const deliveries = await deliver([messageFor({ topic: "dot_ted" }), messageFor({ topic: "undotted" })]);
    expect(deliveries).toMatchObject([
      { outcome: REJECTED, error: expect.stringContaining('the same as "dot.ted"') },
      { outcome: SUCCEEDED },
    ]);
  });

  test("writes the document with CloudEvents attributes and the signature as headers in binary mode", async () => {
    const [delivery] = await deliver([messageFor({ topic: "binary", headers: { tenant: "a" } })]);
    expect(delivery).toMatchObject({
      outcome: SUCCEEDED,
      position: expect.stringMatching(/^partition \d, offset 0$/),
    });
    const triggerId = delivery?.triggerId ?? "";
    expect(await readTopic(kafka, `${projectId}.binary`)).toEqual([
      {
        partition: expect.any(Number),
        offset: 0,
        key: "job_1",
        value: `{"type":"trigger.fired","data":{"trigger":"${triggerId}"}}`,
        headers: {
          "content-type": "application/json",
          ce_specversion: "1.0",
          ce_id: triggerId,
          ce_source: `//easycron/${projectId}`,
          ce_type: "easycron.trigger.fired",
          ce_time: "2026-03-01T09:00:00.000Z",
          ce_subject: "payroll",
          "webhook-id": triggerId,
          "webhook-timestamp": "1772355600",
          "webhook-signature": "v1,c2lnbmF0dXJl",
          tenant: "a",
        },
      },
    ]);
  });

  test("writes one JSON object in structured mode, with the document byte by byte", async () => {
    const body = Buffer.from('{"payload":{"n":3889108265204451307}}');
    const target = { topic: "structured", contentMode: KafkaContentMode.STRUCTURED };
    const deliveries = await deliver([messageFor(target, { triggerId: "trg_s", body })]);
    expect(deliveries).toMatchObject([{ outcome: SUCCEEDED }]);
    const [seen] = await readTopic(kafka, `${projectId}.structured`);
    expect(seen?.headers).toEqual({
      "content-type": "application/cloudevents+json; charset=UTF-8",
      "webhook-id": "trg_s",
      "webhook-timestamp": "1772355600",
      "webhook-signature": "v1,c2lnbmF0dXJl",
    });
    expect(seen?.value.endsWith(`"data":${body}}`)).toBe(true);
    expect(JSON.parse(seen?.value ?? "")).toMatchObject({
      specversion: "1.0",
      id: "trg_s",
      subject: "payroll",
    });
  });

  test("puts each message where it says it does, in the order of the batch", async () => {
    const keys = Array.from({ length: 60 }, (_, index) => `key-${index % 7}`);
    const deliveries = await deliver(keys.map((key) => messageFor({ topic: "orders", key })));
    const seen = await readTopic(kafka, `${projectId}.orders`);
    const positions = new Map(
      seen.map(({ headers, partition, offset }) => [
        headers.ce_id,
        `partition ${partition}, offset ${offset}`,
      ]),
    );
    expect(deliveries.map(({ position }) => position)).toEqual(
      deliveries.map(({ triggerId }) => positions.get(triggerId ?? "")),
    );
    // The messages of a key are in one partition, in their order.
    for (const key of new Set(keys)) {
      const own = seen.filter((each) => each.key === key);
      expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
      const sent = deliveries.filter((_, index) => keys[index] === key).map(({ triggerId }) => triggerId);
      expect(own.map(({ headers }) => headers.ce_id)).toEqual(sent);
    }
  });

  test("takes turns among the partitions and keeps the key, or writes to the one that the target names", async () => {
    const turns = Array.from({ length: 6 }, () =>
      messageFor({ topic: "turns", key: "same", partitioning: KafkaPartitioning.ROUND_ROBIN }),
    );
    const fixed = (partition: number) =>
      messageFor({ topic: "turns", key: "fixed", partitioning: KafkaPartitioning.FIXED, partition });
    const deliveries = await deliver([...turns, fixed(1), fixed(3), fixed(1)]);
    expect(deliveries.map(({ outcome }) => outcome)).toEqual([
      ...Array.from({ length: 7 }, () => SUCCEEDED),
      REJECTED,
      SUCCEEDED,
    ]);
    expect(deliveries[7]?.error).toBe(
      "The topic has 3 partitions, numbered from 0; there is no partition 3.",
    );
    const seen = await readTopic(kafka, `${projectId}.turns`);
    expect(seen.map(({ key, partition }) => `${key} ${partition}`).sort()).toEqual([
      ...["fixed 1", "fixed 1", "same 0", "same 0", "same 1", "same 1", "same 2", "same 2"],
    ]);
  });

  test("makes a topic that does not exist, also one that was just deleted, with the project's limits", async () => {
    await deliver([messageFor({ topic: "made" })]);
    const topic = `${projectId}.made`;
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    const [again] = await deliver([messageFor({ topic: "made" })]);
    expect(again).toMatchObject({ outcome: SUCCEEDED });
    const { resources } = await withAdmin(kafka, (admin) =>
      admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] }),
    );
    const configs = new Map(
      resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]),
    );
    expect(configs.get("retention.ms")).toBe("86400000");
    expect(configs.get("retention.bytes")).toBe("100000000");
  });

  test("rejects a message whose topic cannot be made because of the limit, and writes the others", async () => {
    const other = newProjectId();
    const limits = { ...LIMITS, maxTopics: 1 };
    await plugin.provision(provisionRequest(other, { limits, topics: [{ name: "one" }] }), soon());
    const deliveries = await deliver([messageFor({ topic: "one" }), messageFor({ topic: "two" })], other);
    expect(deliveries).toMatchObject([
      { outcome: SUCCEEDED },
      { outcome: REJECTED, isFinal: false, error: expect.stringContaining("the limit is 1 topics") },
    ]);
    await plugin.remove(other, soon());
  });

  test("rejects for good what the broker says is too large, and nothing beside it", async () => {
    const [type, name] = [2, `${projectId}.small`];
    const configEntries = [{ name: "max.message.bytes", value: "2000" }];
    await withAdmin(kafka, (admin) => {
      const alter = { validateOnly: false, resources: [{ type, name, configEntries }] };
      return admin.alterConfigs(alter);
    });
    const large = { body: Buffer.alloc(1_500, "x") };
    const huge = { body: Buffer.alloc(1_200_000, "x") };
    const deliveries = await deliver([
      messageFor({ topic: "small", key: "a" }, large),
      messageFor({ topic: "orders" }, large),
      messageFor({ topic: "orders" }, huge),
      messageFor({ topic: "small", key: "a" }, { body: Buffer.alloc(3_000, "x") }),
      messageFor({ topic: "small", key: "b" }),
      messageFor({ topic: "orders" }),
    ]);
    const tooLarge = {
      outcome: REJECTED,
      isFinal: true,
      error: expect.stringContaining("larger than the broker"),
    };
    const written = { outcome: SUCCEEDED, position: expect.stringContaining("offset") };
    expect(deliveries).toMatchObject([written, written, tooLarge, tooLarge, written, written]);
  });
});
