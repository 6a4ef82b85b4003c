import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { joinMesh } from "../support/shared-mesh.ts";

const root = resolve(import.meta.dirname, "../..");

let mesh: Awaited<ReturnType<typeof joinMesh>>;
let otherKey: string;

beforeAll(async () => {
  mesh = await joinMesh();
  const operator = new EasyCron({ url: mesh.url, apiKey: mesh.operatorKey });
  const { project } = await operator.raw.projects.createProject({ project: { displayName: "other" } });
  otherKey = (await operator.raw.apiKeys.createApiKey({ project: project?.id ?? "" })).secret;
});
afterAll(() => mesh?.stop());

const jobNamed = (name: string) => ({
  name,
  schedules: [{ cron: { expression: "0 9 * * 1-5" }, timeZone: "Europe/Paris" }],
  target: { webhook: { url: "http://127.0.0.1:9/" } },
});

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any shape, looked into by the assertions.
  readonly body: any;
}

async function post(method: string, body: unknown, key: string | undefined = mesh.apiKey): Promise<Answer> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key !== undefined && key !== "") headers.authorization = `Bearer ${key}`;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${mesh.url}/easycron.v1.${method}`, { method: "POST", headers, body: text });
  return { status: response.status, body: await response.json() };
}

/** Calls with `buf curl`, an independent client, which exits with 8 times the gRPC code when the call fails. */
async function bufCurl(
  protocol: string,
  method: string,
  request: object,
  key = mesh.apiKey,
): Promise<Answer> {
  const args = ["curl", "--schema", join(root, "proto"), "--protocol", protocol, "--http2-prior-knowledge"];
  args.push(
    "-H",
    `authorization: Bearer ${key}`,
    "-d",
    JSON.stringify(request),
    `${mesh.url}/easycron.v1.${method}`,
  );
  try {
    const { stdout } = await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: root });
    return { status: 0, body: JSON.parse(stdout) };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { status: code / 8, body: stderr };
  }
}

describe("a job is created, read, listed, paused and deleted", () => {
  test("as JSON over HTTP/1.1", async () => {
    const created = await post("JobService/CreateJob", { job: jobNamed("by-json") });
    expect(created).toMatchObject({
      status: 200,
      body: { job: { name: "by-json", state: "JOB_STATE_ACTIVE", revision: 1 } },
    });
    expect(created.body.job.uid).toMatch(/^job_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(await post("JobService/GetJob", { name: "by-json" })).toMatchObject({
      body: { job: created.body.job },
    });
    const listed = await post("JobService/ListJobs", {});
    expect(listed.body.jobs.map((job: { name: string }) => job.name)).toContain("by-json");
    const paused = await post("JobService/PauseJob", { name: "by-json", note: "holidays" });
    expect(paused.body.job).toMatchObject({ state: "JOB_STATE_PAUSED", pauseNote: "holidays" });
    expect(paused.body.job).not.toHaveProperty("nextFireTime");
    expect(await post("JobService/DeleteJob", { name: "by-json" })).toMatchObject({ status: 200 });
    expect(await post("JobService/GetJob", { name: "by-json" })).toMatchObject({ status: 404 });
  });

  test.each(["grpc", "grpcweb", "connect"])("by buf curl --protocol %s", async (protocol) => {
    const name = `by-${protocol}`;
    const call = (method: string, request: object) => bufCurl(protocol, `JobService/${method}`, request);
    expect(await call("CreateJob", { job: jobNamed(name) })).toMatchObject({
      status: 0,
      body: { job: { name } },
    });
    expect(await call("GetJob", { name })).toMatchObject({ status: 0, body: { job: { name, revision: 1 } } });
    const listed = await call("ListJobs", { pageSize: 500 });
    expect(listed.body.jobs.map((job: { name: string }) => job.name)).toContain(name);
    expect(await call("PauseJob", { name })).toMatchObject({ body: { job: { state: "JOB_STATE_PAUSED" } } });
    expect(await call("DeleteJob", { name })).toMatchObject({ status: 0 });
    expect((await call("GetJob", { name })).status).toBe(5);
  });
});

test("a tool learns the methods by reflection, without our proto files and without a key", async () => {
  const args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods", mesh.url];
  const { stdout } = await promisify(execFile)(join(root, "node_modules/.bin/buf"), args, { cwd: tmpdir() });
  expect(stdout.split("\n")).toContain("easycron.v1.JobService/CreateJob");
});

test("creating, updating and previewing a job answer with warnings, which refuse nothing", async () => {
  const expression = (text: string) => ({
    ...jobNamed("warned"),
    schedules: [{ cron: { expression: text } }],
  });
  const codes = ({ body }: Answer) => body.warnings.map((warning: { code: string }) => warning.code);
  const restarts = ["WARNING_CODE_STEP_RESTARTS"];
  const created = await post("JobService/CreateJob", { job: expression("7 9 13 * 5") });
  expect(codes(created)).toEqual(["WARNING_CODE_DAY_OF_MONTH_OR_WEEKDAY"]);
  expect(codes(await post("JobService/UpdateJob", { job: expression("7 */7 * * *") }))).toEqual(restarts);
  expect(codes(await post("ScheduleService/PreviewSchedule", { name: "warned" }))).toEqual(restarts);
});

describe("an error has the canonical code, a stable reason and the field that is wrong", () => {
  const withJob = (change: object) => ({ job: { ...jobNamed("bad"), ...change } });
  const cron = (expression: string, timeZone = "UTC") =>
    withJob({ schedules: [{ cron: { expression }, timeZone }] });
  const url = (text: string) => withJob({ target: { webhook: { url: text } } });

  test.each<[string, unknown, number, string, string, string | undefined]>([
    [
      "an unknown field",
      withJob({ nonsense: 1 }),
      400,
      "invalid_argument",
      "REQUEST_MALFORMED",
      "job.nonsense",
    ],
    [
      "a value of another form",
      withJob({ schedules: [{ cron: { expression: 5 } }] }),
      400,
      "invalid_argument",
      "REQUEST_MALFORMED",
      "job.schedules[0].cron.expression",
    ],
    [
      "an interval finer than a millisecond",
      withJob({ schedules: [{ rate: { every: "0.9995s" } }] }),
      400,
      "invalid_argument",
      "FIELD_INVALID",
      "job.schedules[0].rate.every",
    ],
    [
      "a single time that has passed",
      withJob({ schedules: [{ once: { time: "2020-01-01T00:00:00Z" } }] }),
      400,
      "invalid_argument",
      "SCHEDULE_NEVER_FIRES",
      "job.schedules",
    ],
    ["broken JSON", '{"job":', 400, "invalid_argument", "REQUEST_MALFORMED", undefined],
    ["no job", {}, 400, "invalid_argument", "FIELD_INVALID", "job"],
    ["no name", withJob({ name: "" }), 400, "invalid_argument", "FIELD_INVALID", "job.name"],
    ["a bad name", withJob({ name: "Bad Name" }), 400, "invalid_argument", "FIELD_INVALID", "job.name"],
    ["no target", { job: { name: "bad" } }, 400, "invalid_argument", "FIELD_INVALID", "job.target"],
    [
      "a bad expression",
      cron("60 * * * *"),
      400,
      "invalid_argument",
      "SCHEDULE_INVALID",
      "job.schedules[0].cron.expression",
    ],
    [
      "six fields unasked",
      cron("* * * * * *"),
      400,
      "invalid_argument",
      "SCHEDULE_INVALID",
      "job.schedules[0].cron.expression",
    ],
    [
      "one that never fires",
      cron("0 0 30 2 *"),
      400,
      "invalid_argument",
      "SCHEDULE_NEVER_FIRES",
      "job.schedules[0].cron.expression",
    ],
    [
      "a bad zone",
      cron("* * * * *", "Mars/Olympus"),
      400,
      "invalid_argument",
      "TIME_ZONE_UNKNOWN",
      "job.schedules[0].timeZone",
    ],
    ["no URL", url("not a url"), 400, "invalid_argument", "URL_INVALID", "job.target.webhook.url"],
    [
      "another scheme",
      url("ftp://example.com/"),
      400,
      "invalid_argument",
      "URL_INVALID",
      "job.target.webhook.url",
    ],
    [
      "a private address",
      url("http://10.0.0.1/"),
      400,
      "invalid_argument",
      "TARGET_FORBIDDEN",
      "job.target.webhook.url",
    ],
    [
      "the metadata address",
      url("http://169.254.169.254/"),
      400,
      "invalid_argument",
      "TARGET_FORBIDDEN",
      "job.target.webhook.url",
    ],
    [
      "a reserved header",
      withJob({ target: { webhook: { url: "http://127.0.0.1:9/", headers: { "Webhook-Id": "x" } } } }),
      400,
      "invalid_argument",
      "HEADER_RESERVED",
      'job.target.webhook.headers["Webhook-Id"]',
    ],
    [
      "a plugin not enabled",
      withJob({ target: { redis: { stream: "s" } } }),
      400,
      "failed_precondition",
      "PLUGIN_NOT_ENABLED",
      "job.target.redis",
    ],
    [
      "a payload too large",
      withJob({ payload: "x".repeat(70_000) }),
      400,
      "invalid_argument",
      "FIELD_INVALID",
      "job.payload",
    ],
    [
      "a body too large",
      withJob({ payload: "x".repeat(1_200_000) }),
      400,
      "invalid_argument",
      "REQUEST_TOO_LARGE",
      undefined,
    ],
  ])("%s", async (_name, request, status, code, reason, field) => {
    const answer = await post("JobService/CreateJob", request);
    expect(answer).toMatchObject({ status, body: { code } });
    const details = answer.body.details as { type: string; debug: Record<string, unknown> }[];
    const detail = (type: string) => details.find((each) => each.type === `google.rpc.${type}`)?.debug;
    expect(detail("ErrorInfo")).toMatchObject({ reason, domain: "easycron" });
    if (field !== undefined) expect(detail("BadRequest")).toMatchObject({ fieldViolations: [{ field }] });
    expect(answer.body.message.length).toBeGreaterThan(10);
  });

  test("all that is wrong with a request is told at once, by the gateway and the scheduler", async () => {
    const request = {
      validateOnly: 1,
      job: {
        name: "Bad Name",
        colour: "red",
        schedules: [
          { cron: { expression: "60 * * * *" }, timeZone: "Mars/Olympus" },
          { once: { time: "2027-02-29T09:00:00Z" } },
          { rate: { every: "1s" } },
          { cron: { expression: "0 0 30 2 *" } },
        ],
        calendars: [{ name: "a" }, { name: "a" }],
        startTime: "2027-01-02T00:00:00Z",
        endTime: "2027-01-01T00:00:00Z",
        retryPolicy: { minBackoff: "10s", maxBackoff: "5s" },
        target: { webhook: { url: "http://10.0.0.1/" } },
      },
    };
    const { status, body } = await post("JobService/CreateJob", request);
    expect([status, body.code]).toEqual([400, "invalid_argument"]);
    const details = body.details as { debug: { fieldViolations?: { field: string }[] } }[];
    const fields = details.flatMap(({ debug }) => debug.fieldViolations ?? []).map(({ field }) => field);
    expect(fields).toEqual([
      "validateOnly",
      "job.colour",
      "job.schedules[1].once.time",
      "job.name",
      "job.target.webhook.url",
      "job.retryPolicy.maxBackoff",
      "job.calendars[1].name",
      "job.schedules[0].timeZone",
      "job.schedules[0].cron.expression",
      "job.schedules[3].cron.expression",
      "job.endTime",
    ]);
  });

  test.each([
    ["no key", "", "API_KEY_MISSING"],
    ["a wrong key", "ec_live_0000000000000000000000000000000000000000000", "API_KEY_INVALID"],
  ])("%s is UNAUTHENTICATED", async (_name, key, reason) => {
    const answer = await post("JobService/ListJobs", {}, key);
    expect(answer).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    expect(answer.body.details[0].debug).toMatchObject({ reason });
  });

  test("a method that does not exist is UNIMPLEMENTED", async () => {
    expect(await post("JobService/Nonsense", {})).toMatchObject({
      status: 404,
      body: { code: "unimplemented" },
    });
  });

  test("a name that is taken is ALREADY_EXISTS; a request id makes the call repeatable instead", async () => {
    const request = { job: jobNamed("taken"), requestId: "r-1" };
    const first = await post("JobService/CreateJob", request);
    expect((await post("JobService/CreateJob", request)).body.job.uid).toBe(first.body.job.uid);
    expect(await post("JobService/CreateJob", { job: jobNamed("taken") })).toMatchObject({ status: 409 });
    const reused = await post("JobService/CreateJob", { job: jobNamed("taken-2"), requestId: "r-1" });
    expect(reused.body.details[0].debug).toMatchObject({ reason: "REQUEST_ID_REUSED" });
  });
});

describe("UpdateJob with allowMissing", () => {
  test.each([
    ["a private address", { webhook: { url: "http://10.0.0.1/" } }, "TARGET_FORBIDDEN"],
    [
      "a forged header",
      { webhook: { url: "http://127.0.0.1:9/", headers: { host: "internal" } } },
      "HEADER_RESERVED",
    ],
    ["a plugin not enabled", { kafka: { topic: "t" } }, "PLUGIN_NOT_ENABLED"],
  ])("checks the whole job, whatever the mask names: %s", async (_name, target, reason) => {
    const request = { job: { ...jobNamed("masked"), target }, updateMask: "labels", allowMissing: true };
    const answer = await post("JobService/UpdateJob", request);
    expect(answer.body.details[0].debug).toMatchObject({ reason });
    expect(await post("JobService/GetJob", { name: "masked" })).toMatchObject({ status: 404 });
  });

  test("creates the job at first, and updates it later", async () => {
    const request = { job: jobNamed("upserted"), allowMissing: true };
    expect(await post("JobService/UpdateJob", request)).toMatchObject({ body: { job: { revision: 1 } } });
    const again = { job: { ...jobNamed("upserted"), labels: { team: "x" } }, allowMissing: true };
    expect(await post("JobService/UpdateJob", again)).toMatchObject({ body: { job: { revision: 2 } } });
  });
});

describe("a request id of RunJob", () => {
  test("is not accepted again for a later job of the same name", async () => {
    await post("JobService/CreateJob", { job: jobNamed("run-twice") });
    expect(await post("JobService/RunJob", { name: "run-twice", requestId: "q" })).toMatchObject({
      status: 200,
    });
    await post("JobService/DeleteJob", { name: "run-twice" });
    await post("JobService/CreateJob", { job: jobNamed("run-twice") });
    const answer = await post("JobService/RunJob", { name: "run-twice", requestId: "q" });
    expect(answer.body.details[0].debug).toMatchObject({ reason: "REQUEST_ID_REUSED" });
  });
});

describe("another project's data looks as if it never existed", () => {
  test("in every method for jobs and triggers", async () => {
    await post("JobService/CreateJob", { job: jobNamed("mine") });
    const { body } = await post("JobService/RunJob", { name: "mine" });
    const never = `trg_${"0".repeat(26)}`;
    const calls: [string, object, object][] = [
      ["JobService/GetJob", { name: "mine" }, { name: "never" }],
      ["JobService/UpdateJob", { job: { ...jobNamed("mine") } }, { job: { ...jobNamed("never") } }],
      ["JobService/PauseJob", { name: "mine" }, { name: "never" }],
      ["JobService/ResumeJob", { name: "mine" }, { name: "never" }],
      ["JobService/RunJob", { name: "mine" }, { name: "never" }],
      ["JobService/DeleteJob", { name: "mine" }, { name: "never" }],
      ["ScheduleService/PreviewSchedule", { name: "mine" }, { name: "never" }],
      ["TriggerService/GetTrigger", { id: body.trigger.id }, { id: never }],
      ["TriggerService/ListAttempts", { trigger: body.trigger.id }, { trigger: never }],
      ["TriggerService/ListTriggers", { job: "mine" }, { job: "never" }],
    ];
    for (const [method, theirs, nothing] of calls) {
      const blind = (answer: Answer) =>
        JSON.stringify(answer)
          .replaceAll(/mine|never|trg_[0-9a-z]{26}|req_[0-9a-f]{32}/g, "X")
          .replaceAll(/"value":"[^"]*"/g, "");
      const [forbidden, absent] = [
        await post(method, theirs, otherKey),
        await post(method, nothing, otherKey),
      ];
      expect(forbidden, method).toMatchObject({ status: 404, body: { code: "not_found" } });
      expect(blind(forbidden), method).toBe(blind(absent));
    }
    expect((await post("JobService/ListJobs", {}, otherKey)).body).toMatchObject({ jobs: [] });
    expect((await post("TriggerService/ListTriggers", {}, otherKey)).body).toMatchObject({ triggers: [] });
  });

  test("and a project's key may not call the operator's methods", async () => {
    const answer = await post("ProjectService/CreateProject", { project: { displayName: "x" } });
    expect(answer).toMatchObject({ status: 403, body: { code: "permission_denied" } });
  });
});

describe("API keys", () => {
  let project: string;
  let operator: EasyCron;

  beforeAll(async () => {
    operator = new EasyCron({ url: mesh.url, apiKey: mesh.operatorKey });
    const created = await operator.raw.projects.createProject({ project: { displayName: "keys" } });
    project = created.project?.id ?? "";
  });

  test("of a local product say so", () => {
    for (const key of [mesh.apiKey, otherKey]) expect(key).toMatch(/^ec_test_[0-9A-Za-z]{43}$/);
  });

  test("are created, listed, rotated and revoked with the SDK", async () => {
    const { apiKey, secret } = await operator.raw.apiKeys.createApiKey({ project });
    const id = apiKey?.id ?? "";
    const rotated = await operator.raw.apiKeys.rotateApiKey({ id });
    expect((await post("JobService/ListJobs", {}, secret)).status).toBe(200);
    const { apiKeys } = await operator.raw.apiKeys.listApiKeys({ project });
    expect(apiKeys.map((key) => key.secretPrefix).sort()).toEqual(
      [secret, rotated.secret].map((each) => each.slice(0, 12)).sort(),
    );
    await operator.raw.apiKeys.revokeApiKey({ id });
    const revoked = new EasyCron({ url: mesh.url, apiKey: secret });
    await expect(revoked.raw.jobs.listJobs({})).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
      reason: "API_KEY_INVALID",
      message: expect.stringContaining(`${id} was revoked at `),
    });
    expect((await post("JobService/ListJobs", {}, rotated.secret)).status).toBe(200);
  });

  test("are rotated and revoked over gRPC and as JSON", async () => {
    const { apiKey } = await operator.raw.apiKeys.createApiKey({ project });
    const request = { id: apiKey?.id ?? "" };
    const rotated = await bufCurl(
      "grpc",
      "ApiKeyService/RotateApiKey",
      { ...request, overlap: "3600s" },
      mesh.operatorKey,
    );
    expect(rotated).toMatchObject({
      status: 0,
      body: { secret: expect.stringMatching(/^ec_test_/), oldApiKey: { ...request } },
    });
    const revoked = await post("ApiKeyService/RevokeApiKey", request, mesh.operatorKey);
    expect(revoked).toMatchObject({
      status: 200,
      body: { apiKey: { ...request, revokeTime: expect.any(String), expireTime: expect.any(String) } },
    });
    expect(await post("ApiKeyService/RotateApiKey", request, mesh.operatorKey)).toMatchObject({
      status: 400,
      body: { code: "failed_precondition" },
    });
  });
});
