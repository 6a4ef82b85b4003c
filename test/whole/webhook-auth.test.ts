import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { verify } from "../../sdk/webhook.ts";
import { type ReceivedRequest, type Receiver, startReceiver } from "../support/receiver.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";
import { answerJson, startTokenServer } from "../support/token-server.ts";

let mesh: SharedProject;
let receiver: Receiver;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
});

/** Runs a job now, and returns its request. */
async function run(name: string): Promise<ReceivedRequest> {
  const { id } = await client.jobs.run(name);
  return receiver.waitFor((requests) => requests.find((request) => request.id === id));
}

const basic = (username: string, password: string) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

describe("the auth of a webhook", () => {
  test("is sent with each attempt, beside the signature, and no answer has its secret", async () => {
    const url = `${receiver.url}/auth`;
    const target = { webhook: { url, auth: { bearer: { token: "tok-secret-1" } } } };
    const created = await client.jobs.create({ name: "auth", target });
    const { headers, rawBody } = await run("auth");
    expect(headers.authorization).toBe("Bearer tok-secret-1");
    expect(() => verify(rawBody, headers, mesh.signingSecret)).not.toThrow();

    const changed = await client.jobs.update({
      name: "auth",
      target: { webhook: { url, auth: { basic: { username: "bob", password: "pass:wörd" } } } },
    });
    expect((await run("auth")).headers.authorization).toBe(basic("bob", "pass:wörd"));

    const answers = [
      created,
      changed,
      await client.jobs.get("auth"),
      await client.jobs.list().toArray(),
      await client.jobs.listRevisions("auth").toArray(),
      await client.jobs.getRevision("auth", 1),
    ];
    expect(JSON.stringify(answers)).not.toMatch(/tok-secret-1|pass:w|sec_/);
    expect(created.target).toMatchObject({ webhook: { auth: { bearer: {} } } });
  });

  test("is kept when an update does not name the secret, and is the old one again after a revert", async () => {
    const url = `${receiver.url}/kept`;
    await client.jobs.create({
      name: "kept",
      target: { webhook: { url, auth: { bearer: { token: "first" } } } },
    });
    // What was read is sent back, with another path.
    const { target } = await client.jobs.get("kept");
    if (target === undefined || !("webhook" in target)) throw new Error("The job has no webhook.");
    await client.jobs.update({ name: "kept", target: { webhook: { ...target.webhook, url: `${url}/2` } } });
    expect(await run("kept")).toMatchObject({ path: "/kept/2", headers: { authorization: "Bearer first" } });

    await client.jobs.update({
      name: "kept",
      target: { webhook: { url, auth: { bearer: { token: "second" } } } },
    });
    expect((await run("kept")).headers.authorization).toBe("Bearer second");
    await client.jobs.revert("kept", 1);
    expect((await run("kept")).headers.authorization).toBe("Bearer first");

    await client.jobs.update({ name: "kept", target: { webhook: { url } } });
    expect((await run("kept")).headers.authorization).toBeUndefined();
  });

  test("may be an access token, which is fetched once and again after a failure", async () => {
    const tokens = await startTokenServer();
    tokens.answer((response, number) =>
      number === 1
        ? answerJson(response, { error: "invalid_client" }, 401)
        : answerJson(response, {
            access_token: `tok-secret-${number}`,
            token_type: "Bearer",
            expires_in: 600,
          }),
    );
    const oauth2 = { tokenUrl: `${tokens.url}/token`, clientId: "me", clientSecret: "client-secret-1" };
    const created = await client.jobs.create({
      name: "oauth2",
      target: { webhook: { url: `${receiver.url}/oauth2`, auth: { oauth2 } } },
      retryPolicy: { delays: ["1s"] },
    });
    const { id, headers } = await run("oauth2");
    expect(headers).toMatchObject({ authorization: "Bearer tok-secret-2", "easycron-attempt": "2" });
    expect((await run("oauth2")).headers.authorization).toBe("Bearer tok-secret-2");
    expect(tokens.requests.length).toBe(2);

    if (created.target === undefined) throw new Error("The job has no target.");
    const changed = await client.jobs.update({ name: "oauth2", payload: 1, target: created.target });
    expect(changed.target).toMatchObject({
      webhook: { auth: { oauth2: { tokenUrl: oauth2.tokenUrl, clientId: "me" } } },
    });
    const attempts = await client.triggers.listAttempts(id).toArray();
    expect(attempts[0]?.error).toContain("with the error invalid_client");
    const answers = [created, changed, attempts, await client.jobs.listRevisions("oauth2").toArray()];
    expect(JSON.stringify(answers)).not.toMatch(/client-secret|tok-secret|sec_/);
    await tokens.stop();
  });

  test("may be any other header, beside the others", async () => {
    const url = `${receiver.url}/headers`;
    const created = await client.jobs.create({
      name: "headers",
      target: {
        webhook: {
          url,
          headers: { "x-team": "billing" },
          secretHeaders: { "X-Api-Key": "key-secret" },
          auth: { bearer: { token: "tok" } },
        },
      },
    });
    const wanted = { "x-team": "billing", "x-api-key": "key-secret", authorization: "Bearer tok" };
    expect((await run("headers")).headers).toMatchObject(wanted);
    expect(created.target).toMatchObject({ webhook: { secretHeaders: { "X-Api-Key": "" } } });
    // What was read is sent back.
    if (created.target === undefined) throw new Error("The job has no target.");
    await client.jobs.update({ name: "headers", payload: 1, target: created.target });
    expect((await run("headers")).headers).toMatchObject(wanted);
    expect(JSON.stringify(await client.jobs.listRevisions("headers").toArray())).not.toMatch(
      /key-secret|sec_/,
    );
  });

  test("goes to the origin only that it was given for", async () => {
    await client.jobs.create({
      name: "moved",
      target: { webhook: { url: `${receiver.url}/moved`, auth: { bearer: { token: "first" } } } },
    });
    const elsewhere = { webhook: { url: "https://example.com/", auth: { bearer: {} } } };
    await expect(client.jobs.update({ name: "moved", target: elsewhere })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "job.target.webhook.auth.bearer.token" }],
    });
    await expect(client.jobs.create({ name: "without", target: elsewhere })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "job.target.webhook.auth.bearer.token" }],
    });
  });

  test("does not change a job that is applied again, with the secret or without it", async () => {
    const jobWith = (bearer: { token?: string }) => ({
      name: "applied",
      target: { webhook: { url: `${receiver.url}/applied`, auth: { bearer } } },
    });
    const labels = { set: "auth" };
    await client.jobs.apply([jobWith({ token: "a" })], { labels });
    for (const bearer of [{ token: "a" }, {}]) {
      const applied = await client.jobs.apply([jobWith(bearer)], { labels });
      expect(applied).toMatchObject({ updated: [], unchangedCount: 1 });
    }
    expect(await client.jobs.apply([jobWith({ token: "b" })], { labels })).toMatchObject({
      updated: ["applied"],
    });
    expect((await run("applied")).headers.authorization).toBe("Bearer b");
  });

  test("is the same for a request that is repeated with its id", async () => {
    const input = {
      name: "repeated",
      target: { webhook: { url: `${receiver.url}/r`, auth: { bearer: { token: "again" } } } },
    };
    const first = await client.jobs.create(input, { requestId: "auth-repeated" });
    const second = await client.jobs.create(input, { requestId: "auth-repeated" });
    expect(second.uid).toBe(first.uid);
  });
});
