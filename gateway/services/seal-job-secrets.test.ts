import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { secretSlots } from "../../mesh/target-secrets.ts";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { PROJECT_KEY, type StartedGateway, startGateway } from "../testing/start-gateway.ts";

const ID = `sec_${"a".repeat(40)}`;

/** What the dispatcher and the scheduler were sent. */
const seen: { sealed: object[]; tokens: (string | undefined)[]; isAway: boolean } = {
  sealed: [],
  tokens: [],
  isAway: false,
};

let gateway: StartedGateway;
beforeAll(async () => {
  const keep = (...jobs: readonly (Job | undefined)[]) => {
    const slots = jobs.flatMap((job) => [job?.target, job?.alerts?.target].flatMap(secretSlots));
    seen.tokens.push(...slots.map((slot) => slot.get()));
    return { response: {} };
  };
  gateway = await startGateway({
    scheduler: {
      createJob: async ({ request }) => keep(request?.job),
      updateJob: async ({ request }) => keep(request?.job),
      batchCreateJobs: async ({ request }) => keep(...(request?.requests ?? []).map(({ job }) => job)),
      batchUpdateJobs: async ({ request }) => keep(...(request?.requests ?? []).map(({ job }) => job)),
      previewSchedule: async ({ request }) =>
        keep(request?.source.case === "job" ? request.source.value : undefined),
      applyJobs: async ({ request }) => keep(...(request?.jobs ?? [])),
    },
    dispatcher: {
      sealSecrets: async ({ projectId, secrets, validateOnly }) => {
        if (seen.isAway) throw failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { retryAfterMs: 1 });
        seen.sealed.push({ projectId, secrets, validateOnly });
        return { ids: secrets.map(() => ID) };
      },
    },
  });
});
afterAll(() => gateway.close());
beforeEach(() => Object.assign(seen, { sealed: [], tokens: [], isAway: false }));

async function call(
  method: string,
  body: object,
  service = "JobService",
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${gateway.url}/easycron.v1.${service}/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${PROJECT_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

const jobWith = (auth: object, headers = {}) => ({
  name: "a",
  target: { webhook: { url: "https://example.com/", auth, headers } },
});
const secret = jobWith({ bearer: { token: "plain-text" } });

describe("a request with a secret", () => {
  test.each([
    ["CreateJob", { job: secret }],
    ["UpdateJob", { job: secret }],
    ["BatchCreateJobs", { requests: [{ job: secret }] }],
    ["BatchUpdateJobs", { requests: [{ job: secret }] }],
    ["ApplyJobs", { jobs: [secret], labels: { a: "b" } }],
  ])("to %s goes to the scheduler with the id that the dispatcher gave", async (method, body) => {
    expect(await call(method, body)).toMatchObject({ status: 200 });
    expect(seen.sealed).toEqual([{ projectId: "proj_a", secrets: ["plain-text"], validateOnly: false }]);
    expect(seen.tokens).toEqual([ID]);
  });

  test("that is only validated stores nothing", async () => {
    await call("CreateJob", { job: secret, validateOnly: true });
    expect(seen.sealed).toMatchObject([{ validateOnly: true }]);
  });

  test("fails when the dispatcher does not answer, and reaches no scheduler", async () => {
    seen.isAway = true;
    expect(await call("CreateJob", { job: secret })).toMatchObject({ status: 503 });
    expect(seen.tokens).toEqual([]);
  });

  test("that is refused shows the secret neither in the error nor to the scheduler nor in the log", async () => {
    const token = "plain text";
    const { status, text } = await call("CreateJob", { job: jobWith({ bearer: { token } }) });
    expect(status).toBe(400);
    expect(text).toContain("job.target.webhook.auth.bearer.token");
    expect(text).not.toContain(token);
    const tooLong = await call("CreateJob", {
      job: { ...jobWith({ basic: { username: "bob", password: "x".repeat(1_025) } }), maxFires: -1 },
    });
    expect(tooLong.text).toContain("job.maxFires");
    expect(tooLong.text).not.toContain("xxx");
    const other = await call("CreateJob", { job: { ...secret, maxFires: -1 } });
    expect(other.text).toContain("job.maxFires");
    expect(seen.sealed).toEqual([]);
    expect(seen.tokens).not.toContain("plain-text");
    expect(JSON.stringify(gateway.logged)).not.toMatch(/plain.text/);
  });
});

describe("a request that cannot be decoded does not show its secret, neither in the error nor in the log", () => {
  const withWebhook = (more: object) =>
    JSON.stringify({ job: { name: "a", target: { webhook: { url: "https://example.com/", ...more } } } });
  test.each([
    ["a number", withWebhook({ auth: { bearer: { token: 4711_4711 } } }), "auth.bearer.token"],
    [
      "a number that a double does not keep",
      `{"job":{"target":{"webhook":{"auth":{"bearer":{"token":4711471147114711471147}}}}}}`,
      "auth.bearer.token",
    ],
    ["a number for a secret header", withWebhook({ secretHeaders: { a: 4711_4711 } }), 'secretHeaders["a"]'],
    ["a text for the whole auth", withWebhook({ auth: "47114711" }), "webhook.auth"],
    ["a text for the kind of auth", withWebhook({ auth: { bearer: "47114711" } }), "auth.bearer"],
    ["an unknown field beside the secret", withWebhook({ auth: { bearer: { tokn: "47114711" } } }), "tokn"],
    ["an unknown kind of auth", withWebhook({ auth: { token: "47114711" } }), "auth.token"],
    ["an unknown field of the webhook", withWebhook({ authorization: "47114711" }), "authorization"],
    ["JSON with a wrong character after it", `{"job":{"auth":{"token": 'x47114711' }}}`, "JSON"],
  ])("%s", async (_, body, path) => {
    const response = await fetch(`${gateway.url}/easycron.v1.JobService/CreateJob`, {
      method: "POST",
      headers: { authorization: `Bearer ${PROJECT_KEY}`, "content-type": "application/json" },
      body,
    });
    const text = await response.text();
    expect(response.status).toBe(400);
    expect(text).toContain(path.replaceAll('"', '\\"'));
    expect(text).not.toContain("4711");
    expect(JSON.stringify(gateway.logged)).not.toContain("4711");
  });
});

test("the secret of an OAuth client is sealed, and its token URL obeys the rules of targets", async () => {
  const oauth2 = {
    tokenUrl: "https://id.example.com/",
    clientId: "c",
    clientSecret: "plain-text",
    scopes: ["a"],
  };
  expect(await call("CreateJob", { job: jobWith({ oauth2 }) })).toMatchObject({ status: 200 });
  expect(seen).toMatchObject({ sealed: [{ secrets: ["plain-text"] }], tokens: [ID] });
  for (const tokenUrl of ["https://10.0.0.1/", "https://u:p@id.example.com/", "ftp://id.example.com/"]) {
    const { status, text } = await call("CreateJob", { job: jobWith({ oauth2: { ...oauth2, tokenUrl } }) });
    expect(status).toBe(400);
    expect(text).toContain("job.target.webhook.auth.oauth2.tokenUrl");
    expect(text).not.toContain("plain-text");
  }
});

test("the key of a client certificate is sealed, and what is wrong with it does not show it", async () => {
  const { cert: certificate, key } = createTestAuthority().issue();
  expect(
    await call("CreateJob", { job: jobWith({ clientCertificate: { certificate, key } }) }),
  ).toMatchObject({
    status: 200,
  });
  expect(seen).toMatchObject({ sealed: [{ secrets: [key] }], tokens: [ID] });
  for (const wrong of ["plain-text", `${createTestAuthority().issue().key}plain-text`]) {
    const job = jobWith({ clientCertificate: { certificate, key: wrong } });
    const { status, text } = await call("CreateJob", { job });
    expect(status).toBe(400);
    expect(text).toContain("job.target.webhook.auth.clientCertificate.key");
    expect(text + JSON.stringify(gateway.logged)).not.toMatch(/plain-text|PRIVATE/);
  }
});

test("a preview reaches the scheduler without the secret", async () => {
  expect(await call("PreviewSchedule", { job: secret }, "ScheduleService")).toMatchObject({ status: 200 });
  expect(seen).toMatchObject({ sealed: [], tokens: [undefined] });
});

test("a request that does not name the secret goes on as it is", async () => {
  expect(await call("UpdateJob", { job: jobWith({ bearer: {} }) })).toMatchObject({ status: 200 });
  expect(seen).toMatchObject({ sealed: [], tokens: [undefined] });
});

test.each([
  ["goes on", "e30="],
  ["is refused and asked about", "x".repeat(200_000)],
])(
  "an update without its alerts, which %s, reaches the scheduler without a secret in them",
  async (_, data) => {
    const alerts = { target: secret.target };
    const job = { name: "a", alerts, payload: { contentType: "application/json", data } };
    const { status } = await call("UpdateJob", { job, updateMask: "payload" });
    expect([200, 400]).toContain(status);
    expect(seen).toMatchObject({ sealed: [], tokens: [undefined] });
  },
);

test("the values of secret headers go on as ids, and what is wrong with one does not show it", async () => {
  const jobOf = (secretHeaders: object, headers = {}) => ({
    name: "a",
    target: { webhook: { url: "https://example.com/", secretHeaders, headers } },
  });
  expect(await call("CreateJob", { job: jobOf({ "x-a": "plain-text", "x-b": "" }) })).toMatchObject({
    status: 200,
  });
  expect(seen.sealed).toMatchObject([{ secrets: ["plain-text"] }]);
  expect(seen.tokens).toEqual([ID, undefined]);
  const wrong = [
    jobOf({ "x-a": "plain-text\u00fc" }),
    jobOf({ "webhook-id": "plain-text" }),
    jobOf({ "x-a": "plain-text" }, { "X-A": "b" }),
  ];
  for (const job of wrong) {
    const { status, text } = await call("CreateJob", { job });
    expect(status).toBe(400);
    expect(text).toContain("job.target.webhook.secretHeaders[");
    expect(text).not.toContain("plain");
  }
});

test("more than 2,000 secrets in one request are refused", async () => {
  const secretHeaders = { a: "1", b: "2", c: "3" };
  const requests = Array.from({ length: 700 }, (_, index) => ({
    job: { name: `j-${index}`, target: { webhook: { url: "https://example.com/", secretHeaders } } },
  }));
  const { status, text } = await call("BatchCreateJobs", { requests });
  expect(status).toBe(400);
  expect(text).toContain("2100 secrets");
  expect(seen.sealed).toEqual([]);
});

test("a header authorization beside auth is refused", async () => {
  const job = jobWith({ bearer: { token: "t" } }, { Authorization: "x" });
  const { status, text } = await call("CreateJob", { job });
  expect(status).toBe(400);
  expect(text).toContain("target.webhook.auth sets this header");
});
