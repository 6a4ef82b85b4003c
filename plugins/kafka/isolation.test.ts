import { readFileSync } from "node:fs";
import { Admin } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { createClient, withAdmin } from "./testing/clients.ts";
import { CLUSTER_PROBES } from "./testing/cluster-probes.ts";
import { GROUP_PROBES } from "./testing/group-probes.ts";
import type { Ground, Probe } from "./testing/probes.ts";
import { batchOf, messageFor, newProjectId, provisionRequest, settingsFor } from "./testing/space.ts";
import { TOPIC_PROBES } from "./testing/topic-probes.ts";

const PROBES = [...TOPIC_PROBES, ...GROUP_PROBES, ...CLUSTER_PROBES];
const BEGIN = "<!-- The test of Kafka writes this table: begin -->";
const END = "<!-- The test of Kafka writes this table: end -->";

/** Sends a probe and returns what Kafka answered, in words. */
async function answerTo([, , send]: Probe, ground: Ground): Promise<string> {
  try {
    const answer = await send(ground);
    if (!Array.isArray(answer)) return "ALLOWED";
    const others = answer.filter((name) => !String(name).startsWith(ground.own));
    if (others.length > 0) return `TELLS ${others}`;
    return answer.length > 0 ? "only its own" : "nothing";
  } catch (error) {
    const ids = new Set(idsOf(error));
    return ids.size > 0 ? `refused: ${[...ids].join(", ")}` : `FAILED: ${error}`;
  }
}

function idsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = "apiId" in error && typeof error.apiId === "string" ? [error.apiId] : [];
  const nested: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...own, ...[...nested, error.cause].flatMap(idsOf)];
}

describe.skipIf(!(await hasKafka()))("the credentials of one project", async () => {
  const kafka = await joinKafka();
  const plugin = createKafkaPlugin(settingsFor(kafka));
  const soon = () => AbortSignal.timeout(20_000);
  const [own, other] = [newProjectId(), newProjectId()];
  const longer = `${own}b`;
  const clients: Admin[] = [];
  const connect = (username: string, password: string) => {
    const sasl = { mechanism: "SCRAM-SHA-512" as const, username, password };
    const client = new Admin({ clientId: "test", bootstrapBrokers: [kafka.brokers], sasl, retries: 0 });
    clients.push(client);
    return client;
  };
  let tryer: Admin;
  let ground: Omit<Ground, "connection">;

  beforeAll(async () => {
    for (const projectId of [own, other, longer]) {
      await plugin.provision(provisionRequest(projectId, { topics: [{ name: "orders" }] }), soon());
      await plugin.deliver(batchOf(projectId, [messageFor({ topic: "orders" })]), soon());
      // A server's first group finds no coordinator at first.
      const offsets = { topic: `${projectId}.orders`, partitions: [{ partition: 0, offset: "0" }] };
      const group = { groupId: `${projectId}.group`, ...offsets };
      await vi.waitFor(() => withAdmin(kafka, (admin) => admin.setOffsets(group)), 10_000);
    }
    const metadata = await connect(kafka.username, kafka.password).metadata({ topics: [`${other}.orders`] });
    tryer = connect(`${own}-1`, "password-1");
    ground = {
      own: `${own}.`,
      other: `${other}.`,
      longer: `${longer}.`,
      otherTopicId: metadata.topics.get(`${other}.orders`)?.id ?? "",
      ownUser: `${own}-1`,
      otherUser: `${other}-1`,
    };
  }, 60_000);
  afterAll(async () => {
    for (const client of clients) await client.close();
    for (const projectId of [own, other, longer]) await plugin.remove(projectId, soon());
    await plugin.close();
  }, 60_000);

  test(`reach nothing of another project, in ${PROBES.length} requests`, async () => {
    expect(PROBES.length).toBeGreaterThanOrEqual(40);
    const rows: string[] = [];
    for (const probe of PROBES) {
      const [what, request] = probe;
      // Kafka closes a connection on which a client may not be understood.
      const [connection] = (await tryer.connectToBrokers()).values();
      if (connection === undefined) throw new Error("There is no broker.");
      rows.push(`| ${what} | ${request} | ${await answerTo(probe, { ...ground, connection })} |`);
    }
    const head = ["| what a user of `proj_a` tries | request | answer |", "| --- | --- | --- |"];
    const table = [...head, ...rows].join("\n");
    console.info(table);
    expect(rows.filter((row) => /\| (TELLS|ALLOWED|FAILED)/.test(row))).toEqual([]);
    const page = readFileSync(new URL("../../docs/isolation.md", import.meta.url), "utf8");
    const kept = page.slice(page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)).trim();
    expect(kept).toBe(table);
  });

  test("do not log in as another user, and nobody logs in without a password", async () => {
    for (const username of [`${other}-1`, `${longer}-1`, "admin", `${own}-limits`]) {
      const producer = createClient({ brokers: kafka.brokers, username, password: "password-2" }).producer();
      await expect(producer.connect()).rejects.toMatchObject({ name: "KafkaJSSASLAuthenticationError" });
    }
  });

  test("do not write to another project's topic inside a transaction of their own", async () => {
    const client = createClient({ brokers: kafka.brokers, username: `${own}-1`, password: "password-1" });
    const producer = client.producer({ transactionalId: `${own}.tx`, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await vi.waitFor(() => producer.transaction(), 10_000);
    const sending = transaction.send({ topic: `${other}.orders`, messages: [{ value: "x" }] });
    await expect(sending).rejects.toMatchObject({
      cause: { type: "TOPIC_AUTHORIZATION_FAILED" },
    });
    await transaction.abort();
    await producer.disconnect();
  });
});
