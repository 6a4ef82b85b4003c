import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import {
  deliverAll,
  newProject,
  openClient,
  openCustomer,
  openPlugin,
  setUp,
  toMessage,
} from "./testing/ground.ts";

describe.runIf(hasRedis())("a delivery to Redis", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  const openAdmin = () => openClient(redis.port, { username: "admin", password: "test-admin" });

  async function begin() {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId);
    return { projectId, plugin, customer: openCustomer(redis.port, projectId) };
  }

  const FIELDS = {
    specversion: "1.0",
    id: "trg_a",
    type: "easycron.trigger.fired",
    time: "2026-03-01T09:00:00.000Z",
    subject: "payroll",
    datacontenttype: "application/json",
    data: '{"n":"a"}',
    "webhook-timestamp": "1772355600",
    "webhook-signature": "v1,c2lnbmF0dXJl",
  };

  test("to a stream is one entry with the fields of the contract in their order", async () => {
    const { projectId, plugin, customer } = await begin();
    const message = toMessage("a", { destination: { case: "stream", value: "orders" } });
    const [first] = await deliverAll(plugin, projectId, [message]);
    const [[id, fields] = ["", []]] = await customer.xrange(`${projectId}:orders`, "-", "+");
    expect(first).toEqual({
      triggerId: "trg_a",
      outcome: AttemptOutcome.SUCCEEDED,
      position: `stream entry ${id}`,
    });
    const { specversion, id: triggerId, ...others } = FIELDS;
    const expected = { specversion, id: triggerId, source: `//easycron/${projectId}`, ...others };
    expect(fields).toEqual(Object.entries(expected).flat());
  });

  test("to a list, a channel and a key is one JSON object with the same members", async () => {
    const { projectId, plugin, customer } = await begin();
    const subscriber = openCustomer(redis.port, projectId);
    await subscriber.subscribe(`${projectId}:c`);
    const heard = new Promise<string>((resolve) => subscriber.on("message", (_, text) => resolve(text)));
    const answers = await deliverAll(plugin, projectId, [
      toMessage("a", { destination: { case: "list", value: "q" } }, { guard: "1" }),
      toMessage("a", { destination: { case: "channel", value: "c" } }, { guard: "2" }),
      toMessage(
        "a",
        { destination: { case: "key", value: "latest" }, ttl: { seconds: 3_600n } },
        { guard: "3" },
      ),
    ]);
    expect(answers.map(({ position }) => position)).toEqual([
      "list of 1 after the push",
      "published to 1 subscribers",
      "key written",
    ]);
    const texts = [
      await customer.lpop(`${projectId}:q`),
      await heard,
      await customer.get(`${projectId}:latest`),
    ];
    for (const text of texts) {
      expect(JSON.parse(text ?? "")).toEqual({ ...FIELDS, source: `//easycron/${projectId}` });
    }
    expect(await customer.pttl(`${projectId}:latest`)).toBeGreaterThan(3_590_000);
  });

  test("that is repeated with the same guard is written once, and the answer is that of the first", async () => {
    const { projectId, plugin, customer } = await begin();
    const messages = [
      toMessage("a", { destination: { case: "stream", value: "s" } }, { guard: "1" }),
      toMessage("a", { destination: { case: "list", value: "q" } }, { guard: "2" }),
      toMessage("a", { destination: { case: "channel", value: "c" } }, { guard: "3" }),
      toMessage("a", { destination: { case: "key", value: "k" } }, { guard: "4" }),
    ];
    const first = await deliverAll(plugin, projectId, messages);
    await customer.subscribe(`${projectId}:c`);
    expect(await deliverAll(plugin, projectId, messages)).toEqual(first);
    await customer.unsubscribe();
    expect(await customer.xlen(`${projectId}:s`)).toBe(1);
    expect(await customer.llen(`${projectId}:q`)).toBe(1);
    // A backfill delivers the same trigger again, with a new guard.
    await deliverAll(plugin, projectId, [
      toMessage("a", { destination: { case: "stream", value: "s" } }, { guard: "5" }),
    ]);
    expect(await customer.xlen(`${projectId}:s`)).toBe(2);
  });

  test("to several places in turn keeps the order in each, writes a repeated message once, and fails where it must", async () => {
    const { projectId, plugin, customer } = await begin();
    await deliverAll(plugin, projectId, [
      toMessage("first", { destination: { case: "list", value: "taken" } }),
    ]);
    const places = [
      { destination: { case: "stream" as const, value: "s" } },
      { destination: { case: "list" as const, value: "q" } },
      { destination: { case: "stream" as const, value: "taken" } },
    ];
    const messages = Array.from({ length: 300 }, (_, n) => toMessage(`${n}`, places[n % 3] ?? {}));
    const [repeated] = messages;
    const answers = await deliverAll(plugin, projectId, [...messages, ...(repeated ? [repeated] : [])]);
    const idsOf = (place: number) =>
      messages.filter((_, n) => n % 3 === place).map(({ triggerId }) => triggerId);
    const entries = await customer.xrange(`${projectId}:s`, "-", "+");
    expect(entries.map(([, fields]) => fields[3])).toEqual(idsOf(0));
    const items = await customer.lrange(`${projectId}:q`, 0, -1);
    expect(items.map((text) => JSON.parse(text).id)).toEqual(idsOf(1));
    // Each answer is that of its own message.
    const expected = messages.map(({ triggerId }, n) => {
      if (n % 3 === 2) return { triggerId, outcome: AttemptOutcome.REJECTED };
      const nth = Math.floor(n / 3);
      const position =
        n % 3 === 0 ? `stream entry ${entries[nth]?.[0]}` : `list of ${nth + 1} after the push`;
      return { triggerId, outcome: AttemptOutcome.SUCCEEDED, position };
    });
    expect(answers).toMatchObject([...expected, expected[0]]);
    expect(await customer.llen(`${projectId}:taken`)).toBe(1);
  });

  test("by eight processes at once of the same 200 triggers is in the stream once for each", async () => {
    const { projectId, plugin, customer } = await begin();
    const messages = Array.from({ length: 200 }, (_, n) =>
      toMessage(`${n}`, { destination: { case: "stream", value: "s" } }),
    );
    const plugins = [plugin, ...Array.from({ length: 7 }, () => openPlugin(redis.url))];
    const answers = await Promise.all(plugins.map((each) => deliverAll(each, projectId, messages)));
    const entries = await customer.xrange(`${projectId}:s`, "-", "+");
    expect(entries.map(([, fields]) => fields[3]).toSorted()).toEqual(
      messages.map(({ triggerId }) => triggerId).toSorted(),
    );
    const [positions, ...others] = answers.map((each) => each.map(({ position }) => position));
    for (const each of others) expect(each).toEqual(positions);
  });

  test("keeps a stream and a list at about, and at most, their lengths", async () => {
    const { projectId, plugin, customer } = await begin();
    const to = (place: "stream" | "list") =>
      Array.from({ length: 500 }, (_, n) =>
        toMessage(
          `${n}`,
          { destination: { case: place, value: place }, maxLength: 100n },
          { guard: `${place}${n}` },
        ),
      );
    await deliverAll(plugin, projectId, [...to("stream"), ...to("list")]);
    // Redis removes whole nodes of up to 100 entries.
    expect(await customer.xlen(`${projectId}:stream`)).toBeLessThanOrEqual(200);
    const list = await customer.lrange(`${projectId}:list`, 0, -1);
    expect(list.map((text) => JSON.parse(text).id)).toEqual(
      Array.from({ length: 100 }, (_, n) => `trg_${n + 400}`),
    );
  });

  test("that cannot succeed fails alone, and says why", async () => {
    const { projectId, plugin, customer } = await begin();
    const stream = (value: string) => ({ destination: { case: "stream" as const, value } });
    const answers = await deliverAll(plugin, projectId, [
      toMessage("big", stream("s"), { body: Buffer.alloc(600_000, "x") }),
      toMessage("name", stream("app:mine")),
      toMessage("ok", stream("s")),
      toMessage("type", { destination: { case: "list", value: "s" } }),
    ]);
    expect(answers).toMatchObject([
      { outcome: AttemptOutcome.REJECTED, isFinal: true, error: expect.stringContaining("at most 524288") },
      {
        outcome: AttemptOutcome.REJECTED,
        isFinal: true,
        error: expect.stringContaining('"app:mine" is not a name'),
      },
      { outcome: AttemptOutcome.SUCCEEDED },
      { outcome: AttemptOutcome.REJECTED, error: expect.stringContaining("another type") },
    ]);
    expect(await customer.xlen(`${projectId}:s`)).toBe(1);
  });

  test("survives that the server forgets its scripts", async () => {
    const { projectId, plugin } = await begin();
    const stream = { destination: { case: "stream" as const, value: "s" } };
    await deliverAll(plugin, projectId, [toMessage("a", stream), toMessage("b", stream)]);
    await openAdmin().script("FLUSH");
    const answers = await deliverAll(plugin, projectId, [toMessage("c", stream), toMessage("d", stream)]);
    expect(answers.map(({ outcome }) => outcome)).toEqual([
      AttemptOutcome.SUCCEEDED,
      AttemptOutcome.SUCCEEDED,
    ]);
  });

  test("is refused for a project that is over its limits or not set up, and writes nothing", async () => {
    const { projectId, plugin, customer } = await begin();
    const message = toMessage("a", { destination: { case: "stream", value: "s" } });
    await deliverAll(plugin, projectId, [message]);
    await setUp(plugin, projectId, { isReadOnly: true });
    const later = toMessage("b", { destination: { case: "stream", value: "s" } });
    expect(await deliverAll(plugin, projectId, [message, later])).toMatchObject([
      { outcome: AttemptOutcome.SUCCEEDED },
      { outcome: AttemptOutcome.REJECTED, error: expect.stringContaining("has used up its memory") },
    ]);
    expect(await customer.xlen(`${projectId}:s`)).toBe(1);
    const stranger = newProject();
    expect(await deliverAll(plugin, stranger, [message])).toMatchObject([
      { outcome: AttemptOutcome.NOT_SENT, error: expect.stringContaining("is not set up") },
    ]);
    expect(await openAdmin().exists(`${stranger}:s`)).toBe(0);
  });
});
