import type { ServerResponse } from "node:http";
import type { Agent } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEgressAgent } from "../../mesh/egress.ts";
import { parseAllowList } from "../../mesh/egress-address.ts";
import { answerJson, startTokenServer, type TokenServer } from "../../test/support/token-server.ts";
import { fetchToken, type TokenClient } from "./fetch-token.ts";
import { DEFAULT_LIFETIME_MS, MAX_LIFETIME_MS } from "./token-answer.ts";

const SECRET = "s3cr3t +%:~";

let server: TokenServer;
let agent: Agent;
beforeAll(async () => {
  server = await startTokenServer();
  agent = createAgent("127.0.0.0/8");
});
afterAll(async () => {
  await agent.destroy();
  await server.stop();
});

function createAgent(allow: string): Agent {
  const list = allow === "" ? [] : parseAllowList(allow);
  if (list === undefined) throw new Error(`${allow} is no list.`);
  return createEgressAgent({
    allow: list,
    connectionsPerOrigin: 8,
    connectTimeoutMs: 1_000,
    keepAlive: false,
  });
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : "");

function fetchFrom(change: Partial<TokenClient> = {}, more: { agent?: Agent; timeoutMs?: number } = {}) {
  const client = { origin: server.url, path: "/token?a=1", clientId: "a b:c", secretId: "sec_1", scopes: [] };
  return fetchToken(
    { agent, userAgent: "EasyCron/test", explainUnsent: nameOf, ...more },
    { ...client, ...change },
    SECRET,
  );
}

test("the request is that of RFC 6749, with the credentials encoded as in a form", async () => {
  server.answer((response) =>
    answerJson(response, { access_token: "tok", token_type: "bearer", expires_in: 60 }),
  );
  expect(await fetchFrom({ scopes: ["read:x", "write"] })).toEqual({ token: "tok", lifetimeMs: 60_000 });
  const request = server.requests.at(-1);
  expect(request).toMatchObject({
    path: "/token?a=1",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      authorization: `Basic ${Buffer.from("a+b%3Ac:s3cr3t+%2B%25%3A%7E").toString("base64")}`,
    },
  });
  expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
    grant_type: "client_credentials",
    scope: "read:x write",
  });
  await fetchFrom();
  expect(server.requests.at(-1)?.body).toBe("grant_type=client_credentials");
});

test.each([
  ["absent", undefined, DEFAULT_LIFETIME_MS],
  ["null", null, DEFAULT_LIFETIME_MS],
  ["negative", -1, DEFAULT_LIFETIME_MS],
  ["a word", "soon", DEFAULT_LIFETIME_MS],
  ["a number in a text", "90", 90_000],
  ["zero", 0, 0],
  ["huge", 1e300, MAX_LIFETIME_MS],
])("an expires_in that is %s gives a bounded lifetime", async (_, expires_in, lifetimeMs) => {
  server.answer((response) =>
    answerJson(response, { access_token: "tok", token_type: "Bearer", expires_in }),
  );
  expect(await fetchFrom()).toEqual({ token: "tok", lifetimeMs });
});

describe("an endpoint that gives no token: the error says what to do, and shows neither secret nor token", () => {
  const json = (status: number, body: object) => (response: ServerResponse) =>
    answerJson(response, body, status);
  test.each<[string, (response: ServerResponse) => void, string]>([
    [
      "refuses the client",
      json(401, { error: "invalid_client", error_description: SECRET }),
      "The token endpoint answered 401 Unauthorized with the error invalid_client; check clientId, clientSecret and scopes.",
    ],
    ["is broken", json(503, {}), "The token endpoint answered 503 Service Unavailable."],
    [
      "redirects",
      (response) => response.writeHead(302, { location: `${server.url}/other` }).end(),
      "The token endpoint answered 302 Found; redirects are not followed. Use the final URL as tokenUrl.",
    ],
    [
      "answers with HTML",
      (response) => response.end("<html>tok</html>"),
      "The token endpoint answered with something else than a JSON object.",
    ],
    [
      "answers without a token",
      json(200, { token: "tok" }),
      "The answer of the token endpoint has no access_token that a header can have.",
    ],
    [
      "answers with a token of two lines",
      json(200, { access_token: "tok\r\nx: y" }),
      "The answer of the token endpoint has no access_token that a header can have.",
    ],
    [
      "answers with a long token",
      json(200, { access_token: "t".repeat(8_193) }),
      "The access_token has 8193 characters; at most 8192 can be sent. Ask for fewer scopes.",
    ],
    [
      "answers with another type of token",
      json(200, { access_token: "tok", token_type: "mac" }),
      "The access token has another token_type than Bearer, which is the only one that can be sent.",
    ],
    [
      "does not stop answering",
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(16_384)));
        };
        response.on("drain", more);
        more();
      },
      "The answer of the token endpoint is larger than 64 KiB.",
    ],
    [
      "closes the connection",
      (response) => response.destroy(),
      "The token endpoint did not answer completely.",
    ],
  ])("%s", async (_, answer, message) => {
    server.answer(answer);
    await expect(fetchFrom()).rejects.toThrow(expect.objectContaining({ name: "TokenFailed", message }));
  });

  test("does not show an error code that has the secret in it", async () => {
    server.answer(json(400, { error: "bad-hunter2" }));
    const client = { origin: server.url, path: "/", clientId: "a", secretId: "sec_1", scopes: [] };
    const failed = fetchToken({ agent, userAgent: "a", explainUnsent: nameOf }, client, "hunter2");
    await expect(failed).rejects.toThrow(/^The token endpoint answered 400 Bad Request; check/);
  });

  test("never answers, or sends one byte after the other", async () => {
    const drip = (response: ServerResponse) => {
      const timer = setInterval(() => response.write(" "), 5);
      response.on("close", () => clearInterval(timer));
    };
    for (const answer of [() => {}, drip]) {
      server.answer(answer);
      await expect(fetchFrom({}, { timeoutMs: 60 })).rejects.toThrow("did not answer within 0.06 s");
    }
  });

  test("may not be called", async () => {
    const strict = createAgent("");
    const before = server.requests.length;
    await expect(fetchFrom({}, { agent: strict })).rejects.toThrow("cannot be called. EgressBlocked");
    await strict.destroy();
    expect(server.requests.length).toBe(before);
  });
});
