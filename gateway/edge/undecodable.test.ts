import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROJECT_KEY, startGateway } from "../testing/start-gateway.ts";

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
      "It is true; there is no such field; accepted: name.",
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
      expect(details).toContainEqual({ fieldViolations: [expect.objectContaining({ field, description })] });
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
