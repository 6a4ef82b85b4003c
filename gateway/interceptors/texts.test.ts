import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { CreateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { BatchCreateJobsRequestSchema } from "../../gen/easycron/v1/job_batch_pb.ts";
import { CreateJobRequestSchema, RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { textViolations } from "./texts.ts";

const NUL = "a\u0000b";
const HALF = "a\ud800b";

const fieldsIn = (json: JsonObject) => {
  const request = create(CreateJobRequestSchema);
  const job = json.job as JsonObject;
  const { payload, labels, ...rest } = job;
  const whole = fromJson(CreateJobRequestSchema, { job: rest });
  request.job = whole.job;
  if (request.job !== undefined) {
    if (labels !== undefined) Object.assign(request.job.labels, labels);
    if (payload !== undefined)
      request.job.payload = fromJson(CreateJobRequestSchema, { job: { payload } }).job?.payload;
  }
  return textViolations(CreateJobRequestSchema, request).map(({ field }) => field);
};

describe("A text with U+0000 is refused, and its field is named:", () => {
  test.each([
    [{ name: NUL }, ["job.name"]],
    [
      { schedules: [{ timeZone: "UTC" }, { cron: { expression: NUL } }] },
      ["job.schedules[1].cron.expression"],
    ],
    [
      { target: { webhook: { url: NUL, headers: { "x-a": NUL } } } },
      ["job.target.webhook.url", 'job.target.webhook.headers["x-a"]'],
    ],
    [{ labels: { [NUL]: "b" } }, ['job.labels["a\\u0000b"]']],
    [{ calendars: [{ name: NUL }] }, ["job.calendars[0].name"]],
  ])("%j", (job, fields) => {
    expect(fieldsIn({ job } as unknown as JsonObject)).toEqual(fields);
  });

  test("in every job of a batch", () => {
    const request = create(BatchCreateJobsRequestSchema, {
      requests: [{ job: { name: "a" } }, { job: { name: NUL } }],
    });
    expect(textViolations(BatchCreateJobsRequestSchema, request)).toMatchObject([
      { field: "requests[1].job.name", description: "Must not hold the character U+0000; leave it out." },
    ]);
  });

  test("in a list of texts", () => {
    const request = create(CreateCalendarRequestSchema, {
      calendar: { name: "a", excludedDates: ["2026-01-01", NUL] },
    });
    expect(textViolations(CreateCalendarRequestSchema, request)).toMatchObject([
      { field: "calendar.excludedDates[1]" },
    ]);
  });
});

describe("Half of a surrogate pair is refused, and its field is named:", () => {
  test("in an ordinary text", () => {
    const request = create(RunJobRequestSchema, { name: HALF });
    expect(textViolations(RunJobRequestSchema, request)).toMatchObject([{ field: "name" }]);
  });

  test("in a payload, in a value and in a key, however deep", () => {
    const request = create(RunJobRequestSchema, { name: "a" });
    request.payload = create(RunJobRequestSchema, {
      payload: {
        kind: {
          case: "listValue",
          value: {
            values: [
              {
                kind: {
                  case: "structValue",
                  value: { fields: { deep: { kind: { case: "stringValue", value: HALF } } } },
                },
              },
              {
                kind: {
                  case: "structValue",
                  value: { fields: { [HALF]: { kind: { case: "boolValue", value: true } } } },
                },
              },
            ],
          },
        },
      },
    }).payload;
    expect(textViolations(RunJobRequestSchema, request).map(({ field }) => field)).toEqual([
      "payload[0].deep",
      "payload[1].a\ufffdb",
    ]);
  });
});

test("A payload may hold U+0000, in a value or in a key, however deep", () => {
  const payload = { deep: [{ text: NUL }], [NUL]: NUL };
  expect(fieldsIn({ job: { name: "a", payload } })).toEqual([]);
  const request = fromJson(RunJobRequestSchema, { name: "a", payload });
  expect(textViolations(RunJobRequestSchema, request)).toEqual([]);
});

test("Whole surrogate pairs are fine everywhere", () => {
  expect(fieldsIn({ job: { name: "a", payload: { "😀": ["😀"] }, labels: { a: "😀" } } })).toEqual([]);
});
