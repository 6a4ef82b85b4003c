import { describe, expect, test } from "vitest";
import { TriggerMessageError } from "../consumers/trigger-message.ts";
import { messageParts, SECRET, sign, toFields } from "../testing/messages.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { type RedisMessage, readTrigger } from "./read-trigger.ts";

const parts = messageParts(41);
const fields = toFields(parts);
const id = parts.attributes.id ?? "";
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;

/** The text of a list's element. `data` is the text of a JSON value. */
function toJson(data: string, { attributes, timestamp, signature } = parts): string {
  const head = JSON.stringify({
    ...attributes,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  });
  return `{ "datacontenttype": "application/json", "data": ${data} ,${head.slice(1)}`;
}

function asRecord(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? ""]] : [])));
}

/** Returns the reason for which a message is refused. */
function refusal(message: RedisMessage, secret = SECRET): string {
  try {
    readTrigger(message, secret);
  } catch (error) {
    if (error instanceof WebhookVerificationError || error instanceof TriggerMessageError)
      return error.reason;
    throw error;
  }
  return "none";
}

describe("a trigger is read from", () => {
  test.each<[string, RedisMessage]>([
    ["an entry of a stream, as ioredis returns it", ["1700000000000-0", fields]],
    ["an entry in bytes", [Buffer.from("1-0"), fields.map((text) => Buffer.from(text))]],
    ["an entry of a stream, as node-redis returns it", { message: asRecord(fields) }],
    ["the text of a list, a channel or a key", toJson(JSON.stringify(parts.data))],
    ["its bytes", Buffer.from(toJson(JSON.stringify(parts.data)))],
    ["a text that has the document as an object", toJson(parts.data)],
  ])("%s", (_, message) => {
    expect(readTrigger(message, [OTHER_SECRET, SECRET])).toEqual({
      id,
      timestamp: new Date(1_772_355_600_000),
      trigger: expect.objectContaining({ trigger: id, seq: 41, payload: { company: 42 } }),
    });
  });

  test("an object whose document has digits, names and braces that JSON.parse would not return as they were", () => {
    const odd = messageParts(1, '{"id":3889108265204451307, "n":1.0,"text":"}\\\\\\"{,\\u00e9","data":[{}]}');
    expect(readTrigger(toJson(odd.data, odd), SECRET).trigger.seq).toBe(1);
  });
});

describe("a message is refused", () => {
  test.each<[string, RedisMessage, string]>([
    [
      "that another document took the place of",
      ["1-0", toFields({ ...parts, data: messageParts(42).data })],
      "SIGNATURE_MISMATCH",
    ],
    [
      "under another id",
      ["1-0", toFields({ ...parts, attributes: { id: "trg_other" } })],
      "SIGNATURE_MISMATCH",
    ],
    ["without a signature", ["1-0", fields.slice(0, -2)], "FIELD_MISSING"],
    ["without a document", ["1-0", ["id", "a"]], "FIELD_MISSING"],
    ["that is not JSON", "hello", "MALFORMED"],
    ["that is a list in JSON", "[]", "MALFORMED"],
    ["that a client did not return", 5 as unknown as RedisMessage, "MALFORMED"],
    [
      "that is about something else",
      ["1-0", toFields(sign({ id, nominalTime: "" }, '{"type":"job.exhausted"}'))],
      "NOT_A_TRIGGER",
    ],
  ])("%s", (_, message, reason) => {
    expect(refusal(message)).toBe(reason);
  });

  test("with another secret", () => {
    expect(refusal(["1-0", fields], OTHER_SECRET)).toBe("SIGNATURE_MISMATCH");
  });
});

test("a message may be of any age, unless toleranceSeconds says how old", () => {
  const now = () => new Date("2036-03-01T09:00:00Z");
  expect(readTrigger(["1-0", fields], SECRET, { now }).id).toBe(id);
  expect(() => readTrigger(["1-0", fields], SECRET, { now, toleranceSeconds: 60 })).toThrow("more than 60 s");
});
