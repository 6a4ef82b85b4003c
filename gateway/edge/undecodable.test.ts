import { gzipSync } from "node:zlib";
import type { DescMessage } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CalendarService } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobService, RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "../../gen/easycron/v1/operation_service_pb.ts";
import { ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { PROJECT_KEY, startGateway } from "../testing/start-gateway.ts";
import { isOutputOnly } from "./output-only.ts";
import { readRequest } from "./request-text.ts";

const SERVICES = [
  CalendarService,
  JobService,
  LedgerService,
  OperationService,
  ScheduleService,
  SigningKeyService,
  TriggerService,
];

const GET_JOB = "/easycron.v1.JobService/GetJob";
const headers = { "content-type": "application/json", authorization: `Bearer ${PROJECT_KEY}` };

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly debug: Record<string, unknown> }[];
}

let gateway: Awaited<ReturnType<typeof startGateway>>;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.close());

async function post(path: string, body: string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) {
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers: { ...headers, ...more },
    body,
  });
  return (await response.json()) as ErrorBody;
}

function violationsOf({ details }: ErrorBody): string[] {
  const found = details.flatMap(({ debug }) => (debug.fieldViolations ?? []) as Record<string, string>[]);
  return found.map(({ field, description }) => `${field} | ${description}`);
}

describe("JSON that cannot be decoded", () => {
  const cron = { cron: { expression: "* * * * *" } };
  test.each<[string, string, unknown, string, string]>([
    [
      "a text that is not a time",
      "ScheduleService/PreviewSchedule",
      { name: "a", after: "yesterday" },
      "after",
      'It is "yesterday"; accepted: a time such as "2027-01-01T09:00:00Z".',
    ],
    [
      "an unknown name",
      "JobService/CreateJob",
      { job: { schedules: [cron, { cron: { expression: "* * * * *", dialect: "QUARTZ" } }] } },
      "job.schedules[1].cron.dialect",
      'It is "QUARTZ"; accepted: CRON_DIALECT_STANDARD, CRON_DIALECT_WITH_SECONDS.',
    ],
    [
      "two kinds of a schedule",
      "JobService/CreateJob",
      { job: { schedules: [{ ...cron, rate: { every: "60s" } }] } },
      "job.schedules[0].rate",
      "It is an object; cron is set too; accepted: one of cron, rate, once, calendarEdge.",
    ],
    [
      "a huge duration",
      "JobService/CreateJob",
      { job: { schedules: [{ rate: { every: "999999999999999s" } }] } },
      "job.schedules[0].rate.every",
      'It is "999999999999999s"; accepted: seconds such as "90s" or "1.5s".',
    ],
    [
      "a number for a text",
      "JobService/BatchCreateJobs",
      { requests: [{ job: { name: "a" } }, { job: { labels: { team: 7 } } }] },
      'requests[1].job.labels["team"]',
      "It is 7; accepted: a text.",
    ],
    [
      "an unknown field",
      "JobService/GetJob",
      { name: "a", nmae: true },
      "nmae",
      "It is true; there is no such field; did you mean name?",
    ],
    [
      "an unknown field that is near to none",
      "SigningKeyService/CreateSigningKey",
      { kind: "x" },
      "kind",
      'It is "x"; there is no such field; accepted: algorithm.',
    ],
    [
      "an unknown field of a message with output-only ones",
      "CalendarService/CreateCalendar",
      { calendar: { days: 1 } },
      "calendar.days",
      "It is 1; there is no such field; accepted: name, timeZone, windows, excludedDates, etag, icalendar.",
    ],
    [
      "a text for a list",
      "JobService/CreateJob",
      { job: { schedules: "* * * * *" } },
      "job.schedules",
      'It is "* * * * *"; accepted: a list, each an object, easycron.v1.Schedule.',
    ],
    [
      "what is nested without end",
      "JobService/RunJob",
      `{"name":"a","payload":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
      "payload",
      "It is a list; accepted: any JSON, nested at most 30 deep.",
    ],
  ])(
    "because of %s names the field, the value and what is accepted",
    async (_, method, request, field, description) => {
      const body = typeof request === "string" ? request : JSON.stringify(request);
      const answer = await post(`/easycron.v1.${method}`, body);
      expect(answer.code).toBe("invalid_argument");
      expect(answer.message).toBe(`The request could not be decoded: ${field}: ${description}`);
      const details = answer.details.map(({ debug }) => debug);
      expect(details).toContainEqual(
        expect.objectContaining({ reason: "REQUEST_MALFORMED", domain: "easycron" }),
      );
      expect(violationsOf(answer)[0]).toEqual(`${field} | ${description}`);
    },
  );

  test("is reported to the right one of many concurrent requests, also if they are compressed", async () => {
    const fields = Array.from({ length: 20 }, (_, index) => `unknown${index}`);
    const asked = fields.map((name, index) => {
      const body = JSON.stringify({ [name]: 1 });
      if (index % 2 === 1) return post(GET_JOB, body);
      return post(GET_JOB, new Uint8Array(gzipSync(body)), { "content-encoding": "gzip" });
    });
    const answers = await Promise.all(asked);
    for (const [index, name] of fields.entries())
      expect(answers[index]?.message).toContain(`: ${name}: It is 1;`);
  });
});

test("all that is wrong is told at once, whatever layer finds it", async () => {
  const job = {
    nme: "payroll",
    schedules: [
      { once: { time: "2027-02-29T09:00:00Z" } },
      { cron: { expression: "" } },
      7,
      { rate: { every: "0.0005s" }, colour: "red" },
    ],
    target: { webhook: { url: "http://10.0.0.1/", method: "GET", headers: { "webhook-id": "a" } } },
    labels: { a: "\u0000" },
    maxFires: null,
  };
  const text = JSON.stringify({ job, requestId: "ü" }).replace("null", "1e400");
  const answer = await post(
    "/easycron.v1.JobService/CreateJob",
    text.replace("{", '{"validateOnly":1,"validateOnly":true,'),
  );
  expect(violationsOf(answer)).toEqual([
    expect.stringMatching(/^job\.nme \| .*; there is no such field; did you mean name\?$/),
    'job.schedules[0].once.time | It is "2027-02-29T09:00:00Z"; there is no such time; accepted: a time such as "2027-01-01T09:00:00Z".',
    "job.schedules[2] | It is 7; accepted: an object, easycron.v1.Schedule.",
    'job.schedules[3].colour | It is "red"; there is no such field; accepted: cron, rate, once, calendarEdge, timeZone, dstPolicy.',
    "validateOnly | It is given twice; give it once.",
    "job.maxFires | It is 1e400; accepted: a whole number from -2147483648 to 2147483647.",
    "job.schedules[1].cron.expression | It is required; accepted: a text.",
    expect.stringMatching(/^job\.target\.webhook\.method \| .*; it is "GET"\.$/),
    expect.stringMatching(/^requestId \| .*; it is "ü"\.$/),
    expect.stringMatching(/^job\.schedules\[3\]\.rate\.every \| Must be a whole number of milliseconds;/),
    expect.stringMatching(/^job\.labels\["a"\] \| Must not hold the character U\+0000/),
    expect.stringMatching(/^job\.target\.webhook\.url \| /),
    'job.target.webhook.headers["webhook-id"] | EasyCron or HTTP reserves this header; leave it out.',
  ]);
  expect(answer.message).toMatch(/^The request could not be decoded: job\.nme: /);
});

test("a body that is not UTF-8 is refused", async () => {
  const answer = await post(GET_JOB, new Uint8Array(Buffer.from('{"name":"caf\xe9"}', "latin1")));
  expect(answer.message).toContain("the body is not UTF-8");
});

test("a query of GET is read as carefully as a body", async () => {
  const message = JSON.stringify({ name: "a", after: "2027-02-29T09:00:00Z", colour: 1 });
  const query = `?encoding=json&message=${encodeURIComponent(message)}`;
  const response = await fetch(`${gateway.url}/easycron.v1.ScheduleService/PreviewSchedule${query}`, {
    headers,
  });
  const fields = violationsOf((await response.json()) as ErrorBody).map((each) => each.split(" ")[0]);
  expect(fields).toEqual(["after", "colour"]);
});

test.each([
  ["a payload in a payload in a payload", `${'{"payload":'.repeat(80_000)}1${"}".repeat(80_000)}`],
  ["numbers far inside", `{"payload":${"[".repeat(50_000)}${"-0,".repeat(250_000)}0${"]".repeat(50_000)}}`],
  [
    "keys given twice far inside",
    `{"payload":${'{"a":'.repeat(50_000)}{${'"b":1,'.repeat(100_000)}"b":1}${"}".repeat(50_000)}}`,
  ],
  ["unknown fields without end", `{${Array.from({ length: 80_000 }, (_, index) => `"a${index}":1`).join()}}`],
  ["quotes and backslashes", JSON.stringify({ name: '\\"'.repeat(200_000) })],
])("a hostile request with %s is refused without much work", async (_, body) => {
  const { undecodable } = readRequest(RunJobRequestSchema, body);
  expect(undecodable.length).toBeLessThanOrEqual(201);
  expect((await post("/easycron.v1.JobService/RunJob", body)).code).toBe("invalid_argument");
});

/** The paths of the instants and durations in a message that a request may set. */
function timesIn(schema: DescMessage, seen: readonly DescMessage[] = []): { path: string; kind: string }[] {
  if (seen.includes(schema)) return [];
  return schema.fields.flatMap((field) => {
    const { message, jsonName: path } = field;
    if (message === undefined || isOutputOnly(field)) return [];
    const kind = /^google\.protobuf\.(Timestamp|Duration)$/.exec(message.typeName)?.[1];
    if (kind !== undefined) return [{ path: field.fieldKind === "list" ? `${path}[0]` : path, kind }];
    const below = timesIn(message, [...seen, schema]);
    return below.map((each) => ({
      ...each,
      path: `${path}${field.fieldKind === "list" ? "[0]" : ""}.${each.path}`,
    }));
  });
}

/** The JSON with one value at a path. */
function jsonWith(path: string, value: string): object {
  const [head = "", ...rest] = path.split(".");
  const inner = rest.length === 0 ? value : jsonWith(rest.join("."), value);
  return head.endsWith("[0]") ? { [head.slice(0, -3)]: [inner] } : { [head]: inner };
}

const times = SERVICES.flatMap(({ methods }) =>
  methods.flatMap((method) => timesIn(method.input).map((time) => ({ input: method.input, ...time }))),
);

test("every instant and duration of the public API that does not exist is refused, with its path", () => {
  expect(times.length).toBeGreaterThan(50);
  for (const { input, path, kind } of times) {
    const wrong =
      kind === "Duration"
        ? ["90seconds", "1.5s."]
        : ["2027-02-29T09:00:00Z", "2027-11-31T09:00:00Z", "2027-01-01T24:00:00Z", "2027-06-30T23:59:60Z"];
    for (const value of wrong) {
      const { undecodable } = readRequest(input, JSON.stringify(jsonWith(path, value)));
      expect([value, ...undecodable.map(({ field }) => field)]).toEqual([value, path]);
    }
    const right = kind === "Duration" ? "90s" : "2028-02-29T09:00:00Z";
    expect(readRequest(input, JSON.stringify(jsonWith(path, right))).undecodable).toEqual([]);
  }
});
