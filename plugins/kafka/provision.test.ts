import type { Producer } from "kafkajs";
import { afterAll, describe, expect, test, vi } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { connectProducer, createClient, readTopic, withAdmin } from "./testing/clients.ts";
import { readQuotas } from "./testing/quotas.ts";
import {
  batchOf,
  LIMITS,
  messageFor,
  newProjectId,
  provisionRequest,
  scramOf,
  settingsFor,
} from "./testing/space.ts";

const FIRST = [{ partition: 0, offset: "0" }];

describe.skipIf(!(await hasKafka()))("a project's space in Kafka", async () => {
  const kafka = await joinKafka();
  const plugin = createKafkaPlugin(settingsFor(kafka));
  const soon = () => AbortSignal.timeout(15_000);
  const projects: string[] = [];
  const newProject = () => {
    projects.push(newProjectId());
    return projects.at(-1) ?? "";
  };
  afterAll(async () => {
    for (const projectId of projects) await plugin.remove(projectId, soon());
    await plugin.close();
  });
  const provision = (...args: Parameters<typeof provisionRequest>) =>
    plugin.provision(provisionRequest(...args), soon());
  const login = (username: string, password: string) => ({ brokers: kafka.brokers, username, password });
  const write = (producer: Producer, topic: string) =>
    producer.send({ topic, messages: [{ key: "k", value: "v" }] });

  test("is used by its user alone with the password, and repeating the request changes nothing", async () => {
    const projectId = newProject();
    const topics = [{ name: "orders" }];
    expect(await provision(projectId, { topics })).toEqual({ missingUsernames: [] });
    const credentials = [{ username: `${projectId}-1` }];
    expect(await provision(projectId, { topics, credentials })).toEqual({ missingUsernames: [] });
    const producer = await connectProducer(login(`${projectId}-1`, "password-1"));
    await write(producer, `${projectId}.orders`);
    await producer.disconnect();
    expect(await readTopic(login(`${projectId}-1`, "password-1"), `${projectId}.orders`)).toHaveLength(1);
    const wrong = createClient(login(`${projectId}-1`, "password-2")).producer();
    await expect(wrong.connect()).rejects.toMatchObject({ name: "KafkaJSSASLAuthenticationError" });
  });

  test("goes on for a project when the caller of another one leaves, and stops for that one", async () => {
    const [left, other] = [newProject(), newProject()];
    await provision(other);
    const leaving = new AbortController();
    const both = [
      plugin.provision(provisionRequest(left), leaving.signal).catch((error: unknown) => error),
      provision(other, { topics: [{ name: "orders" }] }),
    ] as const;
    leaving.abort();
    expect(await both[0]).toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(await both[1]).toEqual({ missingUsernames: [] });
    // The request of the one who left has made no user, not even later.
    expect(await provision(left, { credentials: [{ username: `${left}-1` }] })).toEqual({
      missingUsernames: [`${left}-1`],
    });
  });

  test("refuses a topic that differs from another one in dots and underscores only", async () => {
    const projectId = newProject();
    await provision(projectId, { topics: [{ name: "a.b" }] });
    await expect(provision(projectId, { topics: [{ name: "x" }, { name: "a_b" }] })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "topics[1].name" }],
    });
  });

  test("reports a user who has neither a password in Kafka nor a secret in the request", async () => {
    const projectId = newProject();
    const credentials = [
      { username: `${projectId}-1`, scram: scramOf("one") },
      { username: `${projectId}-2` },
    ];
    expect(await provision(projectId, { credentials })).toEqual({ missingUsernames: [`${projectId}-2`] });
  });

  test("after a rotation both users work, and then the old one's open connection dies within a second", async () => {
    const projectId = newProject();
    const topic = `${projectId}.orders`;
    const topics = [{ name: "orders" }];
    const old = { username: `${projectId}-1` };
    const next = { username: `${projectId}-2`, scram: scramOf("password-2") };
    await provision(projectId, { topics });
    const oldProducer = await connectProducer(login(`${projectId}-1`, "password-1"));
    await write(oldProducer, topic);
    await provision(projectId, { topics, credentials: [next, old] });
    const nextProducer = await connectProducer(login(`${projectId}-2`, "password-2"));
    await write(nextProducer, topic);
    await write(oldProducer, topic);
    await provision(projectId, { topics, credentials: [{ username: `${projectId}-2` }] });
    const refused = expect.objectContaining({ type: "TOPIC_AUTHORIZATION_FAILED" });
    await vi.waitFor(() => expect(write(oldProducer, topic)).rejects.toEqual(refused), 1_000);
    await write(nextProducer, topic);
    await expect(
      createClient(login(`${projectId}-1`, "password-1"))
        .producer()
        .connect(),
    ).rejects.toThrow();
    await Promise.all([oldProducer.disconnect(), nextProducer.disconnect()]);
    expect(await readQuotas(kafka, `${projectId}-1`)).toEqual({});
  });

  test("without users nobody has access, its data stays, and deliveries go on", async () => {
    const projectId = newProject();
    const topics = [{ name: "orders" }];
    await provision(projectId, { topics });
    const producer = await connectProducer(login(`${projectId}-1`, "password-1"));
    await write(producer, `${projectId}.orders`);
    await provision(projectId, { topics, credentials: [] });
    await vi.waitFor(() => expect(write(producer, `${projectId}.orders`)).rejects.toThrow(), 15_000);
    await producer.disconnect();
    const [delivery] = await plugin.deliver(batchOf(projectId, [messageFor({ topic: "orders" })]), soon());
    expect(delivery?.outcome).toBe(AttemptOutcome.SUCCEEDED);
    expect(await readTopic(kafka, `${projectId}.orders`)).toHaveLength(2);
  });

  test("can be made read-only and writable again", async () => {
    const projectId = newProject();
    const topics = [{ name: "orders" }];
    const user = login(`${projectId}-1`, "password-1");
    const credentials = [{ username: `${projectId}-1` }];
    await provision(projectId, { topics });
    const producer = await connectProducer(user);
    await write(producer, `${projectId}.orders`);
    await provision(projectId, { topics, credentials, isReadOnly: true });
    await vi.waitFor(() => expect(write(producer, `${projectId}.orders`)).rejects.toThrow(), 15_000);
    expect(await readTopic(user, `${projectId}.orders`)).toHaveLength(1);
    await provision(projectId, { topics, credentials });
    const again = await connectProducer(user);
    await vi.waitFor(() => write(again, `${projectId}.orders`), 15_000);
    await Promise.all([producer.disconnect(), again.disconnect()]);
  });

  test("has the quotas of its limits, for each user", async () => {
    const projectId = newProject();
    const limits = { ...LIMITS, produceBytesPerSecond: 20_000n, consumeBytesPerSecond: 30_000n };
    await provision(projectId, { limits });
    await vi.waitFor(
      async () =>
        expect(await readQuotas(kafka, `${projectId}-1`)).toEqual({
          producer_byte_rate: 20_000,
          consumer_byte_rate: 30_000,
        }),
      15_000,
    );
  });

  test("has the topics that are asked for: they are made, grow, change and are deleted", async () => {
    const projectId = newProject();
    const describeTopic = async (topic: string) => {
      const partitions = await withAdmin(kafka, (admin) => admin.fetchTopicMetadata({ topics: [topic] }));
      const { resources } = await withAdmin(kafka, (admin) =>
        admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] }),
      );
      const configs = new Map(resources[0]?.configEntries.map((each) => [each.configName, each.configValue]));
      const names = ["cleanup.policy", "retention.ms", "retention.bytes"];
      return [partitions.topics[0]?.partitions.length, ...names.map((name) => configs.get(name))];
    };
    const retention = { seconds: 60n };
    await provision(projectId, { topics: [{ name: "a", partitions: 2, retention }, { name: "b" }] });
    const bytes = String(LIMITS.maxPartitionBytes);
    expect(await describeTopic(`${projectId}.a`)).toEqual([2, "delete", "60000", bytes]);
    expect(await describeTopic(`${projectId}.b`)).toEqual([3, "delete", "86400000", bytes]);
    await provision(projectId, {
      topics: [{ name: "a", partitions: 4, compacted: true }],
      deletedTopics: ["b"],
      credentials: [{ username: `${projectId}-1` }],
    });
    await vi.waitFor(
      async () => expect(await describeTopic(`${projectId}.a`)).toEqual([4, "compact,delete", "-1", bytes]),
      15_000,
    );
    const topics = await withAdmin(kafka, (admin) => admin.listTopics());
    expect(topics.filter((topic) => topic.startsWith(`${projectId}.`))).toEqual([`${projectId}.a`]);
  });

  test.each([
    ["too many partitions", { topics: [{ name: "a", partitions: 13 }] }, "13 is more than the limit, 12."],
    [
      "too long a retention",
      { topics: [{ name: "a", retention: { seconds: 90_000n } }] },
      "90000000 ms must be",
    ],
    ["a name with a slash", { topics: [{ name: "a/b" }] }, '"a/b" must have'],
    ["fewer partitions", { topics: [{ name: "present", partitions: 1 }] }, "1 is less than the 2"],
    [
      "too many topics",
      { limits: { ...LIMITS, maxTopics: 1 }, topics: [{ name: "x" }] },
      "2 topics; the limit is 1.",
    ],
    ["a limit of 0", { limits: { ...LIMITS, maxTopics: 0 } }, "The limit topics is 0"],
  ])("is refused with %s", async (_, request, problem) => {
    const projectId = newProject();
    await provision(projectId, { topics: [{ name: "present", partitions: 2 }] });
    await expect(provision(projectId, request)).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      message: expect.stringContaining(problem),
    });
  });

  test("is measured and removed completely, as often as asked", async () => {
    const projectId = newProject();
    await provision(projectId, { topics: [{ name: "orders", partitions: 2 }] });
    const user = login(`${projectId}-1`, "password-1");
    await plugin.deliver(batchOf(projectId, [messageFor({ topic: "orders" })]), soon());
    const [{ usage } = {}] = await plugin.measureUsage([projectId], soon());
    expect(usage).toMatchObject({ topics: 1, partitions: 2 });
    expect(Number(usage?.bytes)).toBeGreaterThan(200);
    // The first group of a server finds no coordinator at first.
    const offsets = { groupId: `${projectId}.g`, topic: `${projectId}.orders`, partitions: FIRST };
    await vi.waitFor(() => withAdmin(kafka, (admin) => admin.setOffsets(offsets)), 10_000);
    await plugin.remove(projectId, soon());
    await plugin.remove(projectId, soon());
    const [left] = await plugin.measureUsage([projectId], soon());
    expect(left?.usage).toMatchObject({ topics: 0, partitions: 0, bytes: 0n });
    const found = await withAdmin(kafka, async (admin) => ({
      groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId),
      acls: (
        await admin.describeAcls({
          resourceType: 1,
          resourceName: `${projectId}.`,
          resourcePatternType: 1,
          operation: 1,
          permissionType: 1,
        })
      ).resources,
    }));
    expect(found.groups).not.toContain(`${projectId}.g`);
    expect(found.acls).toEqual([]);
    expect(await readQuotas(kafka, `${projectId}-limits`)).toEqual({});
    await expect(createClient(user).producer().connect()).rejects.toThrow();
  });
});
