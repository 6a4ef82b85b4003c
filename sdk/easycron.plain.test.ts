import { Code, ConnectError, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { describe, expect, expectTypeOf, test } from "vitest";
import { JobService } from "./gen/easycron/v1/job_service_pb.ts";
import { OperationService } from "./gen/easycron/v1/operation_service_pb.ts";
import { TriggerService } from "./gen/easycron/v1/trigger_service_pb.ts";
import { RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import {
  at,
  CancelledError,
  ConflictError,
  calendarCloses,
  calendarOpens,
  cron,
  EasyCron,
  EasyCronError,
  type EasyCronOptions,
  every,
  InvalidArgumentError,
  type Job,
  kafkaTopic,
  NotFoundError,
  type Operation,
  OperationFailedError,
  PermissionDeniedError,
  RateLimitedError,
  redisStream,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
  webhook,
} from "./index.ts";
import { durationFromMs, JobState, OperationState, TriggerKind, toPayload } from "./raw.ts";

interface Services {
  readonly jobs?: Partial<ServiceImpl<typeof JobService>>;
  readonly triggers?: Partial<ServiceImpl<typeof TriggerService>>;
  readonly operations?: Partial<ServiceImpl<typeof OperationService>>;
}

function clientOf({ jobs = {}, triggers = {}, operations = {} }: Services, options: EasyCronOptions = {}) {
  const transport = createRouterTransport((router) => {
    router.service(JobService, jobs).service(TriggerService, triggers).service(OperationService, operations);
  });
  return new EasyCron({ transport, ...options });
}

/** A client whose server echoes jobs, and the number of the calls that it got. */
function echo() {
  const calls: string[] = [];
  const client = clientOf({
    jobs: {
      createJob: ({ job, requestId }) => {
        calls.push(requestId);
        return job === undefined ? {} : { job };
      },
    },
  });
  return { client, calls };
}

/** Calls a method as plain JavaScript would, with values of any type. */
// biome-ignore lint/suspicious/noExplicitAny: TypeScript would not allow the values that are tested.
const untyped = (client: EasyCron): any => client;

describe("a job", () => {
  test("goes and comes back as plain data", async () => {
    const { client } = echo();
    const job = await client.jobs.create({
      name: "payroll",
      schedule: cron("0 9 * * 1-5", "Europe/Paris"),
      target: webhook("https://example.com/hook", { headers: { "x-a": "b" } }),
      startTime: new Date("2030-01-01"),
      endTime: "2031-01-01T00:00:00+01:00",
      attemptTimeout: "90s",
      flexibleWindow: 1_500,
      misfirePolicy: "FIRE_LATEST",
      payload: { company: [42, null], nothing: undefined },
    });
    expect(job).toMatchObject({
      name: "payroll",
      schedules: [{ cron: { expression: "0 9 * * 1-5" }, timeZone: "Europe/Paris" }],
      target: { webhook: { url: "https://example.com/hook", method: "", headers: { "x-a": "b" } } },
      startTime: new Date("2030-01-01T00:00:00Z"),
      endTime: new Date("2030-12-31T23:00:00Z"),
      attemptTimeout: 90_000,
      flexibleWindow: 1_500,
      misfirePolicy: "FIRE_LATEST",
      payload: { company: [42, null] },
      warnings: [],
    });
    expect(job).not.toHaveProperty("$typeName");
    expect(JSON.parse(JSON.stringify(job))).toMatchObject({ startTime: "2030-01-01T00:00:00.000Z" });
    expectTypeOf(job.startTime).toEqualTypeOf<Date | undefined>();
    expectTypeOf(job.attemptTimeout).toEqualTypeOf<number | undefined>();
    expectTypeOf(job.state).toEqualTypeOf<
      "ACTIVE" | "PAUSED" | "DISABLED" | "FINISHED" | "DELETED" | undefined
    >();
    expectTypeOf(job.labels).toEqualTypeOf<{ [key: string]: string }>();
    expectTypeOf(job.target?.webhook?.url).toEqualTypeOf<string | undefined>();
  });

  test("that came back can be sent again", async () => {
    const { client } = echo();
    const job = await client.jobs.create({ name: "a", schedule: every("90s"), target: redisStream("s") });
    const again = await client.jobs.create({ ...job, labels: { a: "b" } });
    expect(again).toEqual({ ...job, labels: { a: "b" } });
  });

  test("shows the number of an enum's value that this version does not know", async () => {
    const client = clientOf({ jobs: { getJob: () => ({ job: { state: 99 as JobState } }) } });
    expect((await client.jobs.get("a")).state).toBe("99");
  });
});

describe("what is wrong is refused by name before anything is sent", () => {
  test.each<[string, string, unknown]>([
    ["an unknown field", "job.shedule", { shedule: cron("* * * * *") }],
    ["a schedule as text", "job.schedule", { schedule: "0 9 * * *" }],
    ["a wrong name of an enum", "job.misfirePolicy", { misfirePolicy: "FIRE_SOMETIMES" }],
    ["a number for an enum", "job.misfirePolicy", { misfirePolicy: 1 }],
    [
      "an unknown field deep inside",
      "job.schedules[0].cron.expresion",
      { schedules: [{ cron: { expresion: "" } }] },
    ],
    [
      "two members of a oneof",
      "job.target.redis",
      { target: { webhook: { url: "u" }, redis: { stream: "s" } } },
    ],
    ["both schedule and schedules", "job.schedule", { schedule: every(1_000), schedules: [] }],
    ["an invalid Date", "job.startTime", { startTime: new Date("soon") }],
    ["a time without an offset", "job.startTime", { startTime: "2030-01-01T00:00:00" }],
    ["a day that does not exist", "job.startTime", { startTime: "2030-02-30T00:00:00Z" }],
    ["a number for an instant", "job.startTime", { startTime: 1_893_456_000_000 }],
    ["a duration without a unit", "job.attemptTimeout", { attemptTimeout: "90" }],
    ["NaN for a duration", "job.attemptTimeout", { attemptTimeout: Number.NaN }],
    ["text for a number", "job.maxFires", { maxFires: "3" }],
    ["a fraction", "job.maxFires", { maxFires: 1.5 }],
    ["null", "job.endTime", { endTime: null }],
    ["a label that is no text", 'job.labels["team"]', { labels: { team: 7 } }],
    ["a Date in the payload", "job.payload.when", { payload: { when: new Date(0) } }],
    ["a rounded number in the payload", "job.payload.id", { payload: { id: 2 ** 60 } }],
    ["a BigInt in the payload", "job.payload[0]", { payload: [1n] }],
    ["a promise for an object", "job.target", { target: Promise.resolve({}) }],
  ])("%s", async (_name, field, fields) => {
    const { client, calls } = echo();
    const refused = untyped(client).jobs.create({ name: "a", ...(fields as object) });
    await expect(refused).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(refused).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "FIELD_INVALID",
      violations: [{ field }],
      message: expect.stringContaining(field),
    });
    expect(calls).toEqual([]);
  });

  test("every fault of a request is named at once", async () => {
    const { client } = echo();
    const refused = untyped(client).jobs.create(
      { nam: "a", maxFires: "3" },
      { validateOnli: true, timeoutMs: 50 },
    );
    await expect(refused).rejects.toMatchObject({
      violations: [{ field: "validateOnli" }, { field: "job.nam" }, { field: "job.maxFires" }],
    });
  });

  test("a request that is in itself is refused, not followed for ever", async () => {
    const { client } = echo();
    const payload: Record<string, unknown> = {};
    payload.self = payload;
    await expect(untyped(client).jobs.create({ name: "a", payload })).rejects.toThrow("nested deeper");
  });

  test("arguments and call options of a wrong type", async () => {
    const { client } = echo();
    await expect(untyped(client).jobs.get({ name: "a" })).rejects.toThrow(
      "name is an object; it must be a string",
    );
    await expect(untyped(client).jobs.get("a", { timeoutMs: "9s" })).rejects.toThrow("timeoutMs must be");
    await expect(untyped(client).jobs.get("a", { signal: 1 })).rejects.toThrow(
      "signal must be an AbortSignal",
    );
    await expect(untyped(client).jobs.get("a", { timeoutMs: Number.POSITIVE_INFINITY })).rejects.toThrow(
      "timeoutMs",
    );
    await expect(untyped(client).jobs.batchCreate({ name: "a" })).rejects.toThrow("requests is an object");
    await expect(untyped(client).ledger.explain("a")).rejects.toThrow("the request must be an object");
    // Without its options, the request goes to the server, which says what is missing.
    await expect(untyped(client).jobs.apply([])).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
    await expect(untyped(client).triggers.discard()).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
  });
});

describe("the helpers", () => {
  test.each([
    [cron("0 9 * * *"), { cron: { expression: "0 9 * * *" } }],
    [cron("*/10 * * * * *"), { cron: { expression: "*/10 * * * * *", dialect: "WITH_SECONDS" } }],
    [
      cron("0 2 * * *", { timeZone: "Europe/Paris", dstPolicy: { gap: "SKIP" } }),
      { cron: { expression: "0 2 * * *" }, timeZone: "Europe/Paris", dstPolicy: { gap: "SKIP" } },
    ],
    [every("90s"), { rate: { every: "90s" } }],
    [every(500, { anchorTime: new Date(0) }), { rate: { every: 500, anchorTime: new Date(0) } }],
    [at(new Date(0)), { once: { time: new Date(0) } }],
    [
      at("2027-03-28T02:30:00", "Europe/Paris"),
      { once: { localTime: "2027-03-28T02:30:00" }, timeZone: "Europe/Paris" },
    ],
    [calendarOpens("office"), { calendarEdge: { calendar: "office", edge: "OPENS" } }],
    [calendarCloses("office"), { calendarEdge: { calendar: "office", edge: "CLOSES" } }],
    [webhook("https://x", { method: "PUT" }), { webhook: { url: "https://x", method: "PUT" } }],
    [redisStream("orders"), { redis: { stream: "orders" } }],
    [kafkaTopic("orders"), { kafka: { topic: "orders" } }],
  ])("make %j", (made, expected) => {
    expect(made).toEqual(expected);
  });

  test("do not take a local time without its zone", async () => {
    const { client } = echo();
    const refused = client.jobs.create({ name: "a", schedule: at("2027-03-28T02:30:00") });
    await expect(refused).rejects.toMatchObject({ violations: [{ field: "job.schedules[0].once.time" }] });
  });
});

describe("errors", () => {
  test.each([
    [Code.InvalidArgument, InvalidArgumentError],
    [Code.OutOfRange, InvalidArgumentError],
    [Code.Unauthenticated, UnauthenticatedError],
    [Code.PermissionDenied, PermissionDeniedError],
    [Code.NotFound, NotFoundError],
    [Code.AlreadyExists, ConflictError],
    [Code.Aborted, ConflictError],
    [Code.FailedPrecondition, ConflictError],
    [Code.ResourceExhausted, RateLimitedError],
    [Code.Unavailable, UnavailableError],
    [Code.DeadlineExceeded, TimeoutError],
    [Code.Canceled, CancelledError],
    [Code.Internal, EasyCronError],
  ])("of code %i have the class of the code", async (code, Class) => {
    const getJob = () => {
      throw new ConnectError("no", code);
    };
    const error = await clientOf({ jobs: { getJob } }, { maxRetries: 0 })
      .jobs.get("a")
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EasyCronError);
    expect((error as EasyCronError).constructor).toBe(Class);
    expect(error).toMatchObject({
      name: Class === EasyCronError ? "EasyCronError" : Class.name,
      message: "no",
    });
  });
});

describe("a call that fails", () => {
  /** A method that fails with `code` until it was called `failures` times, and the request ids that it got. */
  function failing(failures: number, code: Code, retryMs?: number) {
    const ids: string[] = [];
    const handle = (request: object) => {
      ids.push("requestId" in request ? String(request.requestId) : "");
      if (ids.length > failures) return { job: { name: "a" } };
      const retryDelay = durationFromMs(retryMs ?? 0);
      const details = retryMs === undefined ? [] : [{ desc: RetryInfoSchema, value: { retryDelay } }];
      throw new ConnectError("not now", code, undefined, details);
    };
    return { ids, jobs: { getJob: handle, createJob: handle, deleteJob: handle, pauseJob: handle } };
  }

  test("is repeated if it only reads", async () => {
    const { ids, jobs } = failing(2, Code.Unavailable);
    expect(await clientOf({ jobs }).jobs.get("a")).toMatchObject({ name: "a" });
    expect(ids).toHaveLength(3);
  });

  test("is repeated under one request id if its method takes one", async () => {
    const { ids, jobs } = failing(1, Code.Unavailable);
    const client = clientOf({ jobs });
    await client.jobs.create({ name: "a" });
    await client.jobs.create({ name: "a" });
    expect(ids[0]).toMatch(/^sdk_[0-9a-f]{32}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test("keeps the request id of the caller, and has it on its error", async () => {
    const { ids, jobs } = failing(9, Code.Unavailable);
    const call = clientOf({ jobs }, { maxRetries: 1 }).jobs.create({ name: "a" }, { requestId: "mine" });
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE", requestId: "mine" });
    expect(ids).toEqual(["mine", "mine"]);
  });

  test("is repeated if its method is idempotent, and not if a repetition could do it twice", async () => {
    const pausing = failing(1, Code.Unavailable);
    await clientOf({ jobs: pausing.jobs }).jobs.pause("a");
    expect(pausing.ids).toHaveLength(2);
    const deleting = failing(1, Code.Unavailable);
    await expect(clientOf({ jobs: deleting.jobs }).jobs.delete("a")).rejects.toBeInstanceOf(UnavailableError);
    expect(deleting.ids).toHaveLength(1);
  });

  test("is repeated when a limit is used up only if the server says when", async () => {
    const told = failing(1, Code.ResourceExhausted, 10);
    await clientOf({ jobs: told.jobs }).jobs.get("a");
    expect(told.ids).toHaveLength(2);
    const untold = failing(1, Code.ResourceExhausted);
    await expect(clientOf({ jobs: untold.jobs }).jobs.get("a")).rejects.toBeInstanceOf(RateLimitedError);
  });

  test("does not wait for longer than its time allows", async () => {
    const { ids, jobs } = failing(1, Code.ResourceExhausted, 900_000);
    const call = clientOf({ jobs }).jobs.get("a");
    await expect(call).rejects.toMatchObject({ name: "RateLimitedError", retryAfterMs: 900_000 });
    expect(ids).toHaveLength(1);
  });

  test("is not repeated for another code", async () => {
    const { ids, jobs } = failing(1, Code.Internal);
    await expect(clientOf({ jobs }).jobs.get("a")).rejects.toMatchObject({ code: "INTERNAL" });
    expect(ids).toHaveLength(1);
  });

  test("ends when its signal is aborted, also in a pause", async () => {
    const { jobs } = failing(9, Code.ResourceExhausted, 5_000);
    const stop = new AbortController();
    const getJob = (request: object) => {
      setImmediate(() => stop.abort());
      return jobs.getJob(request);
    };
    const call = clientOf({ jobs: { getJob } }).jobs.get("a", { signal: stop.signal });
    await expect(call).rejects.toBeInstanceOf(CancelledError);
  });

  test("ends when its time is used up", async () => {
    const client = clientOf({ jobs: { getJob: () => new Promise(() => {}) } });
    await expect(client.jobs.get("a", { timeoutMs: 20.5 })).rejects.toBeInstanceOf(TimeoutError);
  });
});

describe("a list", () => {
  const pagesOf = () => {
    const tokens: string[] = [];
    const listTriggers = ({ pageToken, job }: { pageToken: string; job: string }) => {
      tokens.push(pageToken);
      if (pageToken === "") return { triggers: [{ id: "1", job }, { id: "2" }], nextPageToken: "two" };
      // A page may be empty and not the last one.
      if (pageToken === "two") return { triggers: [], nextPageToken: "three" };
      return { triggers: [{ id: "3", kind: TriggerKind.CATCHUP }] };
    };
    return { tokens, client: clientOf({ triggers: { listTriggers } }) };
  };

  test("reads page after page", async () => {
    const { client } = pagesOf();
    const ids: string[] = [];
    for await (const trigger of client.triggers.list({ job: "payroll" })) ids.push(trigger.id);
    expect(ids).toEqual(["1", "2", "3"]);
    expect((await client.triggers.list().toArray()).map(({ kind }) => kind)).toEqual([
      undefined,
      undefined,
      "CATCHUP",
    ]);
  });

  test("reads no more than is asked for, and nothing before", async () => {
    const { client, tokens } = pagesOf();
    const list = client.triggers.list();
    expect(tokens).toEqual([]);
    for await (const { id } of list) if (id === "2") break;
    expect(tokens).toEqual([""]);
  });

  test("gives whole pages, and begins with a given one", async () => {
    const { client } = pagesOf();
    const counts: number[] = [];
    for await (const { triggers } of client.triggers.list().pages()) counts.push(triggers.length);
    expect(counts).toEqual([2, 0, 1]);
    expect(await client.triggers.list({ pageToken: "three" }).toArray()).toMatchObject([{ id: "3" }]);
  });

  test("refuses an unknown condition", async () => {
    const { client, tokens } = pagesOf();
    await expect(untyped(client).triggers.list({ sate: "PENDING" }).toArray()).rejects.toThrow(
      "sate is not a field",
    );
    expect(tokens).toEqual([]);
  });
});

describe("an operation", () => {
  const runningFor = (reads: number, end: OperationState, error = "") => {
    let left = reads;
    const operation = () => ({
      id: "op_1",
      state: left-- > 0 ? OperationState.RUNNING : end,
      metadata: { doneCount: reads - left - 1 },
      error,
    });
    return clientOf({
      jobs: { backfillJob: () => ({ operation: operation() }) },
      operations: { getOperation: () => ({ operation: operation() }) },
    });
  };
  const range = { startTime: new Date(0), endTime: new Date(1) };

  test("is waited for, with its progress", async () => {
    const seen: Operation[] = [];
    const operation = await runningFor(2, OperationState.SUCCEEDED).jobs.backfill("a", range);
    const ended = await operation.wait({ onProgress: (one) => seen.push(one) });
    expect(ended.state).toBe("SUCCEEDED");
    expect(seen.map(({ metadata }) => metadata?.doneCount)).toEqual([0, 1, 2]);
  });

  test("is plain data, also with its method", async () => {
    const operation = await runningFor(1, OperationState.SUCCEEDED).operations.get("op_1");
    expect(Object.keys(operation)).not.toContain("wait");
    expect(structuredClone(operation)).toMatchObject({ id: "op_1", state: "RUNNING" });
  });

  test.each([
    [OperationState.FAILED, "ABORTED"],
    [OperationState.CANCELLED, "CANCELLED"],
  ])("that ends without success (%i) throws", async (state, code) => {
    const call = runningFor(1, state, "why").operations.wait("op_1");
    await expect(call).rejects.toBeInstanceOf(OperationFailedError);
    await expect(call).rejects.toMatchObject({ code, operation: { id: "op_1" } });
    await expect(call).rejects.toThrow("why");
  });

  test("that does not end in time throws a TimeoutError", async () => {
    const call = runningFor(99, OperationState.SUCCEEDED).operations.wait("op_1", { timeoutMs: 30 });
    await expect(call).rejects.toBeInstanceOf(TimeoutError);
  });

  test("is no longer waited for when the signal is aborted", async () => {
    const stop = new AbortController();
    const call = runningFor(99, OperationState.SUCCEEDED).operations.wait("op_1", {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(call).rejects.toBeInstanceOf(CancelledError);
  });
});

test("apply with dryRun says what would be done", async () => {
  const seen: boolean[] = [];
  const client = clientOf({
    jobs: {
      applyJobs: ({ jobs, validateOnly }) => {
        seen.push(validateOnly);
        return { created: jobs.map(({ name }) => name) };
      },
    },
  });
  const labels = { set: "billing" };
  const jobs = [{ name: "a", schedule: cron("* * * * *"), target: webhook("https://x") }];
  expect(await client.jobs.apply(jobs, { labels, dryRun: true })).toEqual({
    created: ["a"],
    updated: [],
    deleted: [],
    unchangedCount: 0,
  });
  await client.jobs.apply(jobs, { labels });
  expect(seen).toEqual([true, false]);
});

test("the raw client takes and returns messages", async () => {
  const { client } = echo();
  const { job } = await client.raw.jobs.createJob({ job: { name: "a", payload: toPayload(1) } });
  expect(job).toMatchObject({ $typeName: "easycron.v1.Job", payload: toPayload(1) });
});

describe("a new client", () => {
  test("reads its defaults from the environment", async () => {
    const before = { ...process.env };
    try {
      delete process.env.EASYCRON_URL;
      delete process.env.EASYCRON_API_KEY;
      expect(() => new EasyCron()).toThrow(
        "url is not set; give new EasyCron({ url }), or set EASYCRON_URL.",
      );
      process.env.EASYCRON_URL = "http://127.0.0.1:1";
      expect(() => new EasyCron()).toThrow("or set EASYCRON_API_KEY.");
      process.env.EASYCRON_API_KEY = "k";
      const call = new EasyCron({ maxRetries: 0 }).jobs.get("a");
      await expect(call).rejects.toThrow("http://127.0.0.1:1 cannot be reached");
    } finally {
      Object.assign(process.env, before);
      if (before.EASYCRON_URL === undefined) delete process.env.EASYCRON_URL;
      if (before.EASYCRON_API_KEY === undefined) delete process.env.EASYCRON_API_KEY;
    }
  });

  test.each<[string, object]>([
    ["apikey is not an option", { url: "http://x", apikey: "k" }],
    ["timeoutMs is -1", { url: "http://x", apiKey: "k", timeoutMs: -1 }],
    ["maxRetries is 1.5", { url: "http://x", apiKey: "k", maxRetries: 1.5 }],
  ])("refuses a wrong option: %s", (message, options) => {
    expect(() => new EasyCron(options as EasyCronOptions)).toThrow(message);
  });
});

test("a job's type is that of the helpers and of the answers", () => {
  expectTypeOf<Job["schedules"]>().items.toHaveProperty("cron");
  expectTypeOf<Job>().toHaveProperty("problem").toEqualTypeOf<string>();
  expectTypeOf<Job["remainingFires"]>().toEqualTypeOf<number | undefined>();
  expect(JobState.ACTIVE).toBe(1);
});
