import { create, fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { ApiKeyService } from "../gen/easycron/v1/api_key_service_pb.ts";
import { JobSchema } from "../gen/easycron/v1/job_pb.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { ProjectService } from "../gen/easycron/v1/project_service_pb.ts";
import { ScheduleSchema } from "../gen/easycron/v1/schedule_pb.ts";
import { ScheduleService } from "../gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "../gen/easycron/v1/signing_key_service_pb.ts";
import { TriggerService } from "../gen/easycron/v1/trigger_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { failure } from "../mesh/errors.ts";
import {
  OPERATOR_KEY,
  OTHER_KEY,
  PROJECT_KEY,
  type StartOptions,
  startGateway,
} from "./testing/start-gateway.ts";

const PROTOCOLS = [
  [
    "Connect JSON over HTTP/1.1",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  ],
  ["Connect JSON over HTTP/2", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  [
    "Connect binary over HTTP/2",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  ],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web over HTTP/1.1", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web over HTTP/2", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
] as const;

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function start(options: StartOptions = {}) {
  const gateway = await startGateway(options);
  stop = () => gateway.close();
  return gateway;
}

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const project = as(PROJECT_KEY);

const job = (url = "https://hooks.acme.io/in") =>
  create(JobSchema, {
    name: "payroll",
    schedules: [{ kind: { case: "cron", value: { expression: "0 9 * * *" } } }],
    target: { kind: { case: "webhook", value: { url } } },
  });

async function errorOf(promise: Promise<unknown>) {
  const error = ConnectError.from(
    await promise.then(
      () => "no error",
      (thrown: unknown) => thrown,
    ),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  return {
    code: Code[error.code],
    reason: info?.reason,
    domain: info?.domain,
    message: error.rawMessage,
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
    retryAfter: error.metadata.get("retry-after"),
  };
}

describe.each(PROTOCOLS)("over %s", (_, transportTo) => {
  async function open(
    options: StartOptions = {},
  ): Promise<{ jobs: Client<typeof JobService>; transport: Transport }> {
    const { url } = await start(options);
    const transport = transportTo(url);
    return { jobs: createClient(JobService, transport), transport };
  }

  test("a request reaches the scheduler with its project, and the answer comes back", async () => {
    const seen: string[] = [];
    const { jobs } = await open({
      scheduler: {
        createJob: async ({ projectId, request }) => {
          seen.push(projectId, request?.job?.name ?? "");
          return { response: { job: { name: request?.job?.name ?? "", uid: "job_1" } } };
        },
      },
    });
    const answer = await jobs.createJob({ job: job() }, project);
    expect(seen).toEqual(["proj_a", "payroll"]);
    expect(answer.job).toMatchObject({ name: "payroll", uid: "job_1" });
  });

  test("no key, a wrong key and the operator's key are refused with a reason", async () => {
    const { jobs } = await open();
    const refused = { code: "Unauthenticated", domain: "easycron" };
    expect(await errorOf(jobs.getJob({ name: "a" }))).toMatchObject({
      ...refused,
      reason: "API_KEY_MISSING",
    });
    for (const key of ["ec_live_x", "x".repeat(300)]) {
      expect(await errorOf(jobs.getJob({ name: "a" }, as(key)))).toMatchObject({
        ...refused,
        reason: "API_KEY_INVALID",
      });
    }
    expect(await errorOf(jobs.getJob({ name: "a" }, as(OPERATOR_KEY)))).toMatchObject({
      code: "PermissionDenied",
      reason: "PROJECT_KEY_REQUIRED",
    });
  });

  test("a project's key may not call the operator's methods", async () => {
    const { transport } = await open();
    const projects = createClient(ProjectService, transport);
    expect(await errorOf(projects.createProject({ project: { displayName: "A" } }, project))).toMatchObject({
      code: "PermissionDenied",
      reason: "OPERATOR_KEY_REQUIRED",
    });
  });

  test("an error of the scheduler reaches the caller with its details", async () => {
    const { jobs } = await open({
      scheduler: {
        getJob: async () => {
          throw failure("JOB_NOT_FOUND", { job: "a" });
        },
        createJob: async () => {
          const violations = [{ field: "job.schedules[0].cron.expression", description: "x" }];
          throw failure("SCHEDULE_INVALID", { field: "f", value: "v", problem: "p" }, { violations });
        },
        pauseJob: async () => {
          throw failure("SERVICE_UNAVAILABLE", { service: "database" }, { retryAfterMs: 1_500 });
        },
      },
    });
    expect(await errorOf(jobs.getJob({ name: "a" }, project))).toMatchObject({
      code: "NotFound",
      reason: "JOB_NOT_FOUND",
      message: 'There is no job named "a" in this project; ListJobs gives the names.',
    });
    expect(await errorOf(jobs.createJob({ job: job() }, project))).toMatchObject({
      code: "InvalidArgument",
      reason: "SCHEDULE_INVALID",
      fields: ["job.schedules[0].cron.expression"],
    });
    expect(await errorOf(jobs.pauseJob({ name: "a" }, project))).toMatchObject({
      code: "Unavailable",
      reason: "SERVICE_UNAVAILABLE",
      retryAfter: "2",
    });
  });

  test("a broken field rule is reported with its JSON path", async () => {
    const { jobs } = await open();
    const broken = create(JobSchema, { ...job(), name: "Pay Roll", schedules: [create(ScheduleSchema)] });
    const error = await errorOf(jobs.createJob({ job: broken }, project));
    expect(error).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID", domain: "easycron" });
    expect(error.fields).toContain("job.name");
    expect(error.fields.some((field) => field.startsWith("job.schedules[0]"))).toBe(true);
    expect(error.message).toContain("Pay Roll");
  });

  test("a payload of the largest depth is accepted, and a deeper one is refused", async () => {
    const { jobs } = await open({
      scheduler: {
        runJob: async ({ request }) => ({ response: { trigger: { id: `${request?.payloadJson}` } } }),
      },
    });
    const nested = (depth: number) =>
      fromJson(ValueSchema, JSON.parse(`${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`));
    const { trigger } = await jobs.runJob({ name: "a", payload: nested(30) }, project);
    expect(trigger?.id).toBe(`${'{"a":'.repeat(30)}0${"}".repeat(30)}`);
    const refused = { code: "InvalidArgument", reason: "FIELD_INVALID", fields: ["payload"] };
    expect(await errorOf(jobs.runJob({ name: "a", payload: nested(31) }, project))).toMatchObject(refused);
    expect(await errorOf(jobs.runJob({ name: "a", payload: nested(98) }, project))).toMatchObject({
      code: "InvalidArgument",
      domain: "easycron",
    });
  });

  test("a body that is too large is refused, and the connection stays usable", async () => {
    const { jobs } = await open({ scheduler: { getJob: async () => ({ response: {} }) } });
    const large = create(JobSchema, { ...job(), labels: { a: "x".repeat(2_000_000) } });
    expect(await errorOf(jobs.createJob({ job: large }, project))).toMatchObject({
      code: "InvalidArgument",
      reason: "REQUEST_TOO_LARGE",
      message: "The request is too large; send at most 1048576 bytes.",
    });
    await jobs.getJob({ name: "a" }, project);
  });

  test("a deadline is passed on, and reported when it has passed", async () => {
    const left: (number | undefined)[] = [];
    const { jobs } = await open({
      scheduler: {
        getJob: async (_, { deadlineMs }) => {
          left.push(deadlineMs);
          return { response: {} };
        },
        listJobs: () => new Promise(() => {}),
      },
    });
    await jobs.getJob({ name: "a" }, { ...project, timeoutMs: 1_500 });
    expect(left[0]).toBeGreaterThan(500);
    expect(left[0]).toBeLessThanOrEqual(1_500);
    expect((await errorOf(jobs.listJobs({}, { ...project, timeoutMs: 200 }))).code).toBe("DeadlineExceeded");
  });

  test("an internal error is INTERNAL, and the log has its id", async () => {
    const gateway = await start({ scheduler: { getJob: async () => ({}) } });
    const jobs = createClient(JobService, transportTo(gateway.url));
    const error = await errorOf(jobs.getJob({ name: "a" }, project));
    expect(error).toMatchObject({ code: "Internal", reason: "INTERNAL" });
    const { errorId } = gateway.logged.find(({ level }) => level === "error")?.fields ?? {};
    expect(error.message).toBe(
      `EasyCron failed on this call; report the error id ${errorId}, which is in its logs.`,
    );
  });

  test("an unknown method is unimplemented", async () => {
    const { url } = await start();
    const renamed = { ...JobService.method.getJob, name: "ForgetJob" } as typeof JobService.method.getJob;
    const call = transportTo(url).unary(renamed, undefined, undefined, project.headers, { name: "a" });
    expect(await errorOf(call)).toMatchObject({
      code: "Unimplemented",
      message: "This server has no method /easycron.v1.JobService/ForgetJob; check its name.",
    });
  });

  test("the health of the gateway can be read without a key", async () => {
    const gateway = await start();
    gateway.setServing(true);
    const health = createClient(Health, transportTo(gateway.url));
    expect((await health.check({})).status).toBe(ServingStatus.SERVING);
    expect((await health.check({ service: JobService.typeName })).status).toBe(ServingStatus.SERVING);
    expect(await errorOf(health.check({ service: "nobody" }))).toMatchObject({
      code: "NotFound",
      reason: "SERVICE_NOT_FOUND",
    });
  });
});

test("a call that watches the health is told that the gateway closes, and then ends", async () => {
  const gateway = await start();
  gateway.setServing(true);
  const watching = createClient(Health, createGrpcTransport({ baseUrl: gateway.url })).watch({});
  const seen: ServingStatus[] = [];
  for await (const { status } of watching) {
    seen.push(status);
    if (seen.length > 1) continue;
    gateway.setServing(false);
    void gateway.close(5_000);
    stop = undefined;
  }
  expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
});

describe("projects and keys", () => {
  const open = async (options: StartOptions = {}) => {
    const { url } = await start(options);
    return createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
  };

  test("a project is created with an id and the time", async () => {
    const written: unknown[] = [];
    const transport = await open({
      answer: (name, values) => {
        if (name === "projectInsert") written.push(...values);
        return undefined;
      },
    });
    const { project } = await createClient(ProjectService, transport).createProject(
      { project: { displayName: "Acme", id: "proj_mine" } },
      as(OPERATOR_KEY),
    );
    expect(project?.id).toMatch(/^proj_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    expect(written).toEqual([project?.id, "Acme", "2026-01-01T00:00:00.000Z"]);
  });

  test("a key's secret is shown once, and only its hash is written", async () => {
    const written: unknown[] = [];
    const transport = await open({
      answer: (name, values) => {
        if (name === "apiKeyInsert") written.push(...values);
        return undefined;
      },
    });
    const keys = createClient(ApiKeyService, transport);
    const { apiKey, secret } = await keys.createApiKey(
      { project: "proj_a", apiKey: { displayName: "CI" } },
      as(OPERATOR_KEY),
    );
    expect(apiKey?.id).toMatch(/^key_/);
    expect(secret).toMatch(/^ec_live_[0-9A-Za-z]{43}$/);
    expect(written.slice(0, 3)).toEqual([apiKey?.id, "proj_a", "CI"]);
    expect(written[3]).toBeInstanceOf(Buffer);
    expect(JSON.stringify(written)).not.toContain(secret);
  });

  test("a key for a project that does not exist is PROJECT_NOT_FOUND", async () => {
    const transport = await open({ answer: (name) => (name === "apiKeyInsert" ? [] : undefined) });
    const call = createClient(ApiKeyService, transport).createApiKey({ project: "proj_x" }, as(OPERATOR_KEY));
    expect(await errorOf(call)).toMatchObject({ code: "NotFound", reason: "PROJECT_NOT_FOUND" });
  });

  test("a database that does not answer is SERVICE_UNAVAILABLE, not a wrong key", async () => {
    const transport = await open({
      answer: () => {
        throw failure("SERVICE_UNAVAILABLE", { service: "database" }, { retryAfterMs: 1_000 });
      },
    });
    expect(await errorOf(createClient(JobService, transport).getJob({ name: "a" }, project))).toMatchObject({
      code: "Unavailable",
      reason: "SERVICE_UNAVAILABLE",
      retryAfter: "1",
    });
  });
});

describe("calls to the inner services", () => {
  test("triggers of a job are read by the ids that the scheduler returns for its name", async () => {
    const asked: unknown[] = [];
    const { url } = await start({
      scheduler: {
        resolveJob: async ({ projectId, name }) => {
          asked.push(projectId, name);
          return { jobUids: ["job_2", "job_1"] };
        },
      },
      dispatcher: {
        listTriggers: async ({ projectId, jobUids }) => {
          asked.push(projectId, jobUids);
          return { response: { triggers: [{ id: "trg_1" }] } };
        },
      },
    });
    const triggers = createClient(
      TriggerService,
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    );
    const answer = await triggers.listTriggers({ job: "payroll" }, as(OTHER_KEY));
    expect(answer.triggers.map(({ id }) => id)).toEqual(["trg_1"]);
    await triggers.listTriggers({}, as(OTHER_KEY));
    expect(asked).toEqual(["proj_b", "payroll", "proj_b", ["job_2", "job_1"], "proj_b", []]);
  });

  test("signing keys come from the dispatcher, previews from the scheduler", async () => {
    const { url } = await start({
      scheduler: { previewSchedule: async () => ({ response: { fireTimes: [{ localTime: "x" }] } }) },
      dispatcher: {
        createSigningKey: async ({ projectId }) => ({ response: { secret: `whsec_${projectId}` } }),
      },
    });
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
    const preview = createClient(ScheduleService, transport).previewSchedule(
      { source: { case: "name", value: "payroll" } },
      project,
    );
    expect((await preview).fireTimes).toHaveLength(1);
    expect((await createClient(SigningKeyService, transport).createSigningKey({}, project)).secret).toBe(
      "whsec_proj_a",
    );
  });

  test("the inner call is a child span of the caller's trace", async () => {
    const seen: string[] = [];
    const { url } = await start({
      scheduler: {
        getJob: async (_, { traceparent }) => {
          seen.push(traceparent);
          return { response: {} };
        },
      },
    });
    const headers = {
      ...project.headers,
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    const jobs = createClient(JobService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
    await jobs.getJob({ name: "a" }, { headers });
    expect(seen[0]).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  });
});
