import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { signTrigger, TEST_SECRET } from "../fakes/sign-trigger.ts";
import { memoryStore } from "../idempotency/memory-store.ts";
import { type Acknowledgement, acknowledgement } from "./acknowledgement.ts";
import { AcknowledgementError } from "./acknowledgement-error.ts";
import { createReceiver } from "./create-receiver.ts";

/** What EasyCron would answer, one after the other; the last again and again. */
let answers: { status: number; body: object | string }[];
let seen: { path: string | undefined; body: unknown; authorization: string | undefined }[];
let url: string;
const DONE = { trigger: { state: "TRIGGER_STATE_SUCCEEDED" }, isLate: false, explanation: "" };

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { authorization } = request.headers;
  seen.push({ path: request.url, body: JSON.parse(Buffer.concat(chunks).toString()), authorization });
  const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? { status: 500, body: {} };
  response.writeHead(answer.status, { "content-type": "application/json" });
  response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
});

beforeEach(async () => {
  seen = [];
  answers = [{ status: 200, body: DONE }];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise<unknown>((resolve) => server.close(resolve));
});

const PATH = "/acknowledge/trg_1/ack_proj_1.1.x";

describe("an acknowledgement", () => {
  test("posts the outcome to its URL, without a key, and returns the trigger's state", async () => {
    const { succeed, fail, extend } = acknowledgement(`${url}${PATH}`);
    expect(await succeed()).toEqual({ state: "SUCCEEDED", isLate: false, explanation: "" });
    await fail("no bank");
    await extend(90_500, "half");
    const common = { path: PATH, authorization: undefined };
    expect(seen).toEqual([
      { ...common, body: { outcome: "ACKNOWLEDGEMENT_SUCCEEDED", message: "" } },
      { ...common, body: { outcome: "ACKNOWLEDGEMENT_FAILED", message: "no bank" } },
      { ...common, body: { outcome: "ACKNOWLEDGEMENT_EXTENDED", message: "half", extendBy: "90.5s" } },
    ]);
  });

  test("says what happened instead when it is late", async () => {
    const explanation = "The trigger had already been cancelled.";
    answers = [
      { status: 200, body: { trigger: { state: "TRIGGER_STATE_CANCELLED" }, isLate: true, explanation } },
    ];
    expect(await acknowledgement(`${url}${PATH}`).succeed()).toEqual({
      state: "CANCELLED",
      isLate: true,
      explanation,
    });
  });

  test("is repeated after 503 and 429, and after no answer, but not after a refusal", async () => {
    answers = [503, 429].map((status) => ({ status, body: {} }));
    answers.push({ status: 200, body: DONE });
    const after = (_: number, act: () => void) => {
      act();
      return () => undefined;
    };
    const clock = { now: () => new Date(), after };
    await acknowledgement(`${url}${PATH}`, { clock }).succeed();
    expect(seen).toHaveLength(3);
    answers = [{ status: 401, body: { message: "The token does not belong here." } }];
    const refused = await acknowledgement(`${url}${PATH}`, { clock })
      .succeed()
      .catch((error) => error);
    expect(refused).toBeInstanceOf(AcknowledgementError);
    expect(refused).toMatchObject({ status: 401, message: "The token does not belong here." });
    expect(seen).toHaveLength(4);
    const silent = acknowledgement("http://127.0.0.1:1/", { clock, maxRetries: 1 });
    await expect(silent.succeed()).rejects.toMatchObject({ status: undefined });
  });

  test("has a message of at most 1,000 characters, none of them half", async () => {
    const { succeed, fail, extend } = acknowledgement(`${url}${PATH}`);
    const long = `${"x".repeat(999)}\u{1f642}`;
    await succeed(long);
    await fail(long);
    await extend(1_000, long);
    const messages = seen.map(({ body }) => (body as { message: string }).message);
    expect(messages).toEqual(Array.from({ length: 3 }, () => `${"x".repeat(999)}\ufffd`));
  });

  test.each([200, 404])(
    "is not repeated when another server answers it with %i and no JSON",
    async (status) => {
      answers = [{ status, body: "<html>" }];
      const refused = acknowledgement(`${url}${PATH}`).succeed();
      await expect(refused).rejects.toMatchObject({ status, message: expect.stringContaining("not JSON") });
      expect(seen).toHaveLength(1);
    },
  );

  test("cannot be made from what is no URL", () => {
    expect(() => acknowledgement("ack_1")).toThrow(TypeError);
    expect(() => acknowledgement("file:///etc/passwd")).toThrow(TypeError);
  });
});

describe("a receiver", () => {
  const acks: (Acknowledgement | undefined)[] = [];
  beforeEach(() => acks.splice(0));
  const create = (options: object = {}) =>
    createReceiver({
      secrets: TEST_SECRET,
      onTrigger: (_, { ack }) => void acks.push(ack),
      ...options,
    });
  const request = (attempt = 1, headers: Record<string, string> = {}) => {
    const signed = signTrigger({ attempt }).request();
    for (const [name, value] of Object.entries(headers)) signed.headers.set(name, value);
    return signed;
  };
  const token = "ack_proj_1.1.x";

  test("gives the handler an acknowledgement if the job wants one", async () => {
    const receiver = create();
    const headers = { "easycron-ack-token": token, "easycron-ack-url": `${url}${PATH}` };
    expect((await receiver.fetch(request(1, headers))).status).toBe(204);
    await receiver.fetch(request());
    expect(acks.map((ack) => ack?.url)).toEqual([`${url}${PATH}`, undefined]);
    await acks[0]?.succeed();
    expect(seen).toHaveLength(1);
  });

  test("sends it to apiUrl, if that is set, and never elsewhere", async () => {
    const signed = request(1, { "easycron-ack-token": token, "easycron-ack-url": "https://evil.example/" });
    const id = signed.headers.get("webhook-id");
    await create({ apiUrl: `${url}/` }).fetch(signed);
    expect(acks[0]?.url).toBe(`${url}/acknowledge/${id}/${token}`);
    for (const apiUrl of ["here", "localhost:8080"]) expect(() => create({ apiUrl })).toThrow("apiUrl");
  });

  test("does the work of each attempt once, because another attempt comes after a failure", async () => {
    const receiver = create({ store: memoryStore() });
    const headers = { "easycron-ack-token": token, "easycron-ack-url": `${url}${PATH}` };
    for (const attempt of [1, 1, 2])
      expect((await receiver.fetch(request(attempt, headers))).status).toBe(204);
    expect(acks).toHaveLength(2);
  });
});
