import { createSecretKey } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parseAllowList, parseDenyList } from "../../mesh/egress-address.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { answerJson, startTokenServer, type TokenServer } from "../../test/support/token-server.ts";
import { createAccessTokens, MIN_AGE_MS } from "../access-tokens/access-tokens.ts";
import { fetchToken } from "../access-tokens/fetch-token.ts";
import { heldTrigger } from "../testing/held.ts";
import { type AttemptParts, makeAttempt } from "./attempt.ts";
import { createDeliveryClients, type DeliveryClients } from "./clients.ts";
import { explainUnsent } from "./failure-words.ts";
import { toSpec } from "./spec.ts";

let receiver: Receiver;
let tokens: TokenServer;
let clients: DeliveryClients;
beforeAll(async () => {
  receiver = await startReceiver();
  clients = createDeliveryClients(
    {
      egressAllow: parseAllowList("127.0.0.0/8") ?? [],
      egressDeny: parseDenyList("192.0.2.1"),
      deliveryConcurrency: 8,
      idleConnections: 8,
      pluginsAddresses: [],
    },
    "EasyCron/test",
    { onFailed: () => {}, onRecovered: () => {} },
  );
});
afterAll(async () => {
  await clients.close();
  await receiver.stop();
});

let nowMs = 0;
let path: string;
let parts: AttemptParts;
let count = 0;
beforeEach(async () => {
  tokens = await startTokenServer();
  count += 1;
  path = `/target-${count}`;
  const { freshAgent: agent } = clients.webhook;
  const fail = () => Promise.reject(new Error("This is not needed here."));
  parts = {
    webhook: clients.webhook,
    certificates: clients.certificates,
    plugins: clients.plugins,
    signingKeys: { get: () => [createSecretKey(Buffer.alloc(32, 1))], load: fail, refresh: fail },
    targetSecrets: { get: ({ id }) => `secret of ${id}`, load: fail },
    accessTokens: createAccessTokens({
      fetch: (client, secret) =>
        fetchToken({ agent, userAgent: "EasyCron/test", explainUnsent }, client, secret),
      monotonicMs: () => nowMs,
      maxBytes: 1_000_000,
    }),
    acknowledgement: {
      tokenKeys: { get: () => undefined, load: fail },
      publicUrl: undefined,
    },
    onTrouble: (error) => {
      throw error;
    },
    clock: { now: () => Date.now() },
    isOwner: () => true,
  };
  return () => tokens.stop();
});

function attempt() {
  const oauth2 = { tokenUrl: `${tokens.url}/token`, clientId: "c", clientSecret: "sec_1", scopes: ["a"] };
  const webhook = { url: `${receiver.url}${path}`, auth: { oauth2 } };
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: JSON.stringify({ target: { webhook } }) });
  return makeAttempt(parts, { trigger: heldTrigger(Date.now()), spec, number: 1, startTimeMs: Date.now() });
}

const sent = () =>
  receiver.requests.filter((request) => request.path === path).map(({ headers }) => headers.authorization);
const kindOf = async () => (await attempt()).outcome;

test("the attempt has an access token, which further attempts share", async () => {
  expect(await kindOf()).toMatchObject({ kind: "SUCCEEDED" });
  expect(await kindOf()).toMatchObject({ kind: "SUCCEEDED" });
  expect(sent()).toEqual(["Bearer tok-1", "Bearer tok-1"]);
  expect(tokens.requests.map(({ headers }) => headers.authorization)).toEqual([
    `Basic ${Buffer.from("c:secret+of+sec_1").toString("base64")}`,
  ]);
});

test("a token that the target refuses is replaced within the attempt, but only once", async () => {
  receiver.answer(path, (number) => ({ status: number === 2 || number > 3 ? 401 : 204 }));
  await attempt();
  nowMs += MIN_AGE_MS;
  expect(await kindOf()).toMatchObject({ kind: "SUCCEEDED" });
  expect(sent()).toEqual(["Bearer tok-1", "Bearer tok-1", "Bearer tok-2"]);
  // This one is refused, too, and so is the next.
  nowMs += MIN_AGE_MS;
  expect(await kindOf()).toMatchObject({ kind: "REJECTED", statusCode: 401 });
  expect(sent().slice(3)).toEqual(["Bearer tok-2", "Bearer tok-3"]);
  expect(await kindOf()).toMatchObject({ kind: "REJECTED", statusCode: 401 });
  expect(tokens.requests.length).toBe(3);
});

test("an attempt without a token is NOT_SENT, says why, and counts for nothing against the target", async () => {
  tokens.answer((response) => answerJson(response, { error: "invalid_client" }, 401));
  expect(await attempt()).toMatchObject({
    outcome: { kind: "NOT_SENT", isUntried: true },
    error:
      "No access token. The token endpoint answered 401 Unauthorized with the error invalid_client; check clientId, clientSecret and scopes.",
  });
  expect(sent()).toEqual([]);
});

test("an attempt whose token endpoint cannot be reached says so", async () => {
  await tokens.stop();
  expect((await attempt()).error).toBe(
    "No access token. The token endpoint cannot be called. The connection was refused; check that the endpoint listens on this port.",
  );
  tokens = await startTokenServer();
});

test("an attempt is not sent after its trigger was taken over", async () => {
  let isOwner = true;
  parts = { ...parts, isOwner: () => isOwner };
  tokens.answer((response) => {
    isOwner = false;
    answerJson(response, { access_token: "tok", token_type: "Bearer" });
  });
  expect(await attempt()).toMatchObject({
    outcome: { kind: "NOT_SENT" },
    error: expect.stringContaining("another dispatcher"),
  });
  expect(sent()).toEqual([]);
});

test("a trigger that is taken over after the target refused the token has the outcome of what was sent", async () => {
  let isOwner = true;
  parts = { ...parts, isOwner: () => isOwner };
  await attempt();
  nowMs += MIN_AGE_MS;
  receiver.answer(path, () => ({ status: 401 }));
  tokens.answer((response) => {
    isOwner = false;
    answerJson(response, { access_token: "tok", token_type: "Bearer" });
  });
  expect(await kindOf()).toMatchObject({ kind: "REJECTED", statusCode: 401 });
  expect(sent().length).toBe(2);
});

test("an attempt whose second request cannot be sent has the outcome of the first", async () => {
  await attempt();
  nowMs += MIN_AGE_MS;
  receiver.answer(path, () => ({ status: 401 }));
  const noKeys = () => (tokens.requests.length > 1 ? [] : [createSecretKey(Buffer.alloc(32, 1))]);
  parts = { ...parts, signingKeys: { ...parts.signingKeys, get: noKeys } };
  expect(await kindOf()).toMatchObject({ kind: "REJECTED", statusCode: 401 });
  expect(tokens.requests.length).toBe(2);
});

test("a fault in sending is not taken for a secret that cannot be read", async () => {
  const troubles: unknown[] = [];
  const webhook = {
    ...parts.webhook,
    get userAgent(): string {
      throw new Error("A fault.");
    },
  };
  parts = { ...parts, webhook, onTrouble: (error) => troubles.push(error) };
  await expect(attempt()).rejects.toThrow("A fault.");
  expect(troubles).toEqual([]);
});
