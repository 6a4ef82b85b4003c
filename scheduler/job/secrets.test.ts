import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { TargetSchema, WebhookAuthSchema } from "../../gen/easycron/v1/target_pb.ts";
import { updateJob } from "../changes/update-job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

const START = Date.UTC(2026, 2, 1, 9);
const FIRST = `sec_${"1".repeat(40)}`;
const SECOND = `sec_${"2".repeat(40)}`;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

type Auth = MessageInitShape<typeof WebhookAuthSchema>;

function targetOf(
  auth: Auth | undefined,
  url = "https://example.com/a",
): MessageInitShape<typeof TargetSchema> {
  return { kind: { case: "webhook", value: auth === undefined ? { url } : { url, auth } } };
}

const bearer = (token?: string): Auth => ({
  kind: { case: "bearer", value: token === undefined ? {} : { token } },
});
const basic = (username: string, password?: string): Auth => ({
  kind: { case: "basic", value: password === undefined ? { username } : { username, password } },
});

/** Creates a job with one target, updates it to another, and returns the auth that the revision has then. */
async function change(
  from: MessageInitShape<typeof TargetSchema>,
  to: MessageInitShape<typeof TargetSchema>,
) {
  await bench.createJob({ name: "a", target: from });
  const request = create(UpdateJobRequestSchema, { job: { name: "a", target: to } });
  const { row } = await updateJob(bench.parts, PROJECT, request);
  return JSON.parse(row.spec).target.webhook.auth;
}

test("an update that does not name the secret keeps it, and may change what is beside it", async () => {
  const kept = await change(
    targetOf(basic("bob", FIRST)),
    targetOf(basic("alice"), "https://example.com/b?c=d"),
  );
  expect(kept).toEqual({ basic: { username: "alice", password: FIRST } });
});

test("an update that names the secret replaces it, with any origin", async () => {
  expect(await change(targetOf(bearer(FIRST)), targetOf(bearer(SECOND), "https://example.net/"))).toEqual({
    bearer: { token: SECOND },
  });
});

test("the secret of an OAuth client is kept for the same two origins only", async () => {
  const oauth2 = (tokenUrl: string, clientSecret?: string): Auth => {
    const value = { tokenUrl, clientId: "c" };
    return {
      kind: { case: "oauth2", value: clientSecret === undefined ? value : { ...value, clientSecret } },
    };
  };
  const job = targetOf(oauth2("https://id.example.com/a", FIRST));
  expect(await change(job, targetOf(oauth2("https://id.example.com/b")))).toEqual({
    oauth2: { tokenUrl: "https://id.example.com/b", clientId: "c", clientSecret: FIRST },
  });
  for (const to of [
    targetOf(oauth2("https://id.example.net/a")),
    targetOf(oauth2("https://id.example.com/a"), "https://example.net/a"),
  ]) {
    const request = create(UpdateJobRequestSchema, { job: { name: "a", target: to } });
    await expect(updateJob(bench.parts, PROJECT, request)).rejects.toMatchObject({
      violations: [{ field: "job.target.webhook.auth.oauth2.clientSecret" }],
    });
  }
});

test("the key of a client certificate is kept with the same certificate only", async () => {
  const withCertificate = (certificate: string, key?: string): Auth => ({
    kind: { case: "clientCertificate", value: key === undefined ? { certificate } : { certificate, key } },
  });
  expect(await change(targetOf(withCertificate("A", FIRST)), targetOf(withCertificate("A")))).toEqual({
    clientCertificate: { certificate: "A", key: FIRST },
  });
  const request = create(UpdateJobRequestSchema, {
    job: { name: "a", target: targetOf(withCertificate("B")) },
  });
  await expect(updateJob(bench.parts, PROJECT, request)).rejects.toMatchObject({
    violations: [{ field: "job.target.webhook.auth.clientCertificate.key" }],
  });
});

test("an update of the target without auth removes it", async () => {
  expect(await change(targetOf(bearer(FIRST)), targetOf(undefined))).toBeUndefined();
});

test.each([
  ["another host", targetOf(bearer(), "https://example.net/a")],
  ["another port", targetOf(bearer(), "https://example.com:8443/a")],
  ["another scheme", targetOf(bearer(), "http://example.com/a")],
])("the secret must be named again for %s", async (_, to) => {
  await expect(change(targetOf(bearer(FIRST)), to)).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "job.target.webhook.auth.bearer.token" }],
  });
});

test("the secret must be named for another kind of auth, and for a new job", async () => {
  await expect(change(targetOf(bearer(FIRST)), targetOf(basic("bob")))).rejects.toMatchObject({
    violations: [{ field: "job.target.webhook.auth.basic.password" }],
  });
  await expect(bench.createJob({ name: "b", target: targetOf(bearer()) })).rejects.toMatchObject({
    violations: [{ field: "job.target.webhook.auth.bearer.token" }],
  });
});

test("the secret of a header is kept by the header's name, and must be named for another", async () => {
  const withHeaders = (secretHeaders: Record<string, string>): MessageInitShape<typeof TargetSchema> => ({
    kind: { case: "webhook", value: { url: "https://example.com/", secretHeaders } },
  });
  await bench.createJob({ name: "a", target: withHeaders({ "x-a": FIRST, "x-b": SECOND }) });
  const update = (secretHeaders: Record<string, string>) =>
    updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, { job: { name: "a", target: withHeaders(secretHeaders) } }),
    );
  const { row } = await update({ "x-b": "" });
  expect(JSON.parse(row.spec).target.webhook.secretHeaders).toEqual({ "x-b": SECOND });
  await expect(update({ "x-a": "" })).rejects.toMatchObject({
    violations: [{ field: 'job.target.webhook.secretHeaders["x-a"]' }],
  });
});

test("a secret in plain text is never stored", async () => {
  await expect(bench.createJob({ name: "b", target: targetOf(bearer("plain")) })).rejects.toThrow(
    "in plain text",
  );
});
