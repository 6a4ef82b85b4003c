import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type DeliverRequest,
  PluginsService,
} from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;
let pluginsAddress: string;

type Answer = {
  readonly outcome: AttemptOutcome;
  readonly error?: string;
  readonly isFinal?: boolean;
  readonly position?: string;
};

/** By stream or topic: what the plugin-delivery service answers. Without an answer it hangs. */
const answers = new Map<string, Answer>();
const received: DeliverRequest[] = [];
const hung = new Set<() => void>();
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const plugins = createGrpcServer({ logger: silent });

beforeAll(async () => {
  const unused = async (): Promise<never> => {
    throw failure("METHOD_UNIMPLEMENTED", { method: "unused" });
  };
  plugins.add(PluginsService, {
    deliver: async (request, { signal }) => {
      received.push(request);
      const kind = request.messages[0]?.target?.kind;
      const name = kind?.case === "redis" ? kind.value.destination.value : undefined;
      const answer = answers.get((kind?.case === "kafka" ? kind.value.topic : name) ?? "");
      if (answer === undefined) {
        await new Promise<void>((resolve) => {
          hung.add(resolve);
          signal.addEventListener("abort", () => resolve());
        });
      }
      const outcome = answer ?? { outcome: AttemptOutcome.UNKNOWN };
      return { deliveries: request.messages.map(({ triggerId }) => ({ triggerId, ...outcome })) };
    },
    describePlugins: unused,
    provision: unused,
    remove: unused,
    measureUsage: unused,
  });
  pluginsAddress = `127.0.0.1:${await plugins.listen("127.0.0.1:0")}`;
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatcher = await ground.start({ EASYCRON_PLUGINS_ADDRESSES: pluginsAddress });
});

afterAll(async () => {
  for (const end of hung) end();
  await ground.end();
  await receiver.stop();
  await plugins.close(0);
});

const attemptsOf = (id: string) => ground.attemptsOf(id);
const stateOf = async (id: string) =>
  (await ground.sql("select state from dispatcher.triggers where id = $1", [id]))[0]?.state;

/** Delivers one trigger to a target, and returns its state and its attempts. */
async function deliver(project: string, target: object, to = dispatcher) {
  const retryPolicy = { maxAttempts: 2, minBackoff: "60s", maxBackoff: "60s", maxAge: "600s" };
  const job = await ground.addJob(project, "", { target, retryPolicy });
  const event = eventOf(job, Date.now());
  const recorded = untilRecorded(to.events, [event]);
  await to.accept([event]);
  await recorded;
  return { event, state: await stateOf(event.triggerId), attempts: await attemptsOf(event.triggerId) };
}

test("a trigger that a plugin delivers has succeeded, and its attempt tells the position", async () => {
  answers.set("orders", { outcome: AttemptOutcome.SUCCEEDED, position: "stream entry 17-0" });
  const { event, state, attempts } = await deliver(projectId, { redis: { stream: "orders" } });
  expect(state).toBe("SUCCEEDED");
  expect(attempts).toMatchObject([
    { outcome: "SUCCEEDED", status_code: null, error: "", response_body: "stream entry 17-0" },
  ]);
  const message = received
    .flatMap(({ messages }) => messages)
    .find(({ triggerId }) => triggerId === event.triggerId);
  expect(message).toMatchObject({
    jobName: event.jobName,
    jobUid: event.jobUid,
    fireTime: new Date(Number(event.nominalTimeMs)).toISOString(),
    webhookSignature: expect.stringMatching(/^v1,/),
    guard: `${event.triggerId}.0`,
    target: { kind: { value: { maxLength: 100_000n } } },
  });
});

test("a trigger that a plugin rejects for good is exhausted at once, and any other is retried", async () => {
  answers.set("large", { outcome: AttemptOutcome.REJECTED, error: "Too large.", isFinal: true });
  answers.set("full", { outcome: AttemptOutcome.REJECTED, error: "The limit is reached." });
  const large = await deliver(projectId, { kafka: { topic: "large" } });
  expect(large).toMatchObject({
    state: "EXHAUSTED",
    attempts: [{ outcome: "REJECTED", error: "Too large." }],
  });
  const full = await deliver(projectId, { kafka: { topic: "full" } });
  expect(full).toMatchObject({ state: "RETRYING", attempts: [{ outcome: "REJECTED", error: /limit/ }] });
});

test("a trigger of a project without a signing key is not sent to a plugin", async () => {
  const { attempts, event } = await deliver("proj_00000000000000000000000000", {
    redis: { stream: "orders" },
  });
  expect(attempts).toMatchObject([{ outcome: "NOT_SENT", error: /no usable signing key/ }]);
  expect(
    JSON.stringify(received.map(({ messages }) => messages.map(({ triggerId }) => triggerId))),
  ).not.toContain(event.triggerId);
});

test("a dispatcher without plugin delivery delivers webhooks, and tells that there is no plugin", async () => {
  const alone = await ground.start({ EASYCRON_PLUGINS_ADDRESSES: "" });
  const { attempts } = await deliver(projectId, { redis: { stream: "orders" } }, alone);
  expect(attempts).toMatchObject([{ outcome: "NOT_SENT", error: /has not set up the Redis plugin/ }]);
  const webhook = await deliver(projectId, { webhook: { url: `${receiver.url}/alone` } }, alone);
  expect(webhook.state).toBe("SUCCEEDED");
  await alone.stop();
});

test("a Redis that hangs for many projects delays no webhook and nothing for Kafka", async () => {
  // So few places that the projects below use up all of Redis.
  const few = await ground.start({
    EASYCRON_PLUGINS_ADDRESSES: pluginsAddress,
    EASYCRON_DISPATCHER_DELIVERY_CONCURRENCY: "64",
  });
  answers.set("topic", { outcome: AttemptOutcome.SUCCEEDED });
  const backlog = [];
  for (let each = 0; each < 30; each++) {
    const project = await ground.addProject();
    const job = await ground.addJob(project.projectId, "", { target: { redis: { list: "hangs" } } });
    backlog.push(...Array.from({ length: 10 }, () => eventOf(job, Date.now())));
  }
  const isHung = () =>
    received.filter(({ messages }) => {
      const kind = messages[0]?.target?.kind;
      return kind?.case === "redis" && kind.value.destination.value === "hangs";
    }).length;
  await few.accept(backlog);
  await expect.poll(isHung).toBeGreaterThan(0);
  const webhook = await ground.addJob(projectId, `${receiver.url}/beside`);
  const kafka = await ground.addJob(projectId, "", { target: { kafka: { topic: "topic" } } });
  const dueMs = Date.now() + 200;
  const events = [webhook, kafka].flatMap((job) => Array.from({ length: 50 }, () => eventOf(job, dueMs)));
  const recorded = untilRecorded(few.events, events);
  await few.accept(events);
  await recorded;
  const rows = await ground.sql(
    `select extract(epoch from max(start_time) - min(effective_time)) as late, count(*)::integer as count
       from dispatcher.triggers where id = any($1) and state = 'SUCCEEDED'`,
    [events.map(({ triggerId }) => triggerId)],
  );
  expect(rows[0]).toMatchObject({ count: 100 });
  // What waits for Redis waits for 30 s, the time limit of an attempt.
  expect(Number(rows[0]?.late)).toBeLessThan(15);
  // Every place of Redis is in use, and no more.
  const inFlight = await ground.sql(
    "select count(*)::integer as count from dispatcher.triggers where state = 'RUNNING' and id = any($1)",
    [backlog.map(({ triggerId }) => triggerId)],
  );
  expect(inFlight[0]?.count).toBeGreaterThanOrEqual(8);
  for (const end of hung) end();
  answers.set("hangs", { outcome: AttemptOutcome.SUCCEEDED });
  await few.stop();
});
