import { describe, expect, test } from "vitest";
import { TriggerMessageError } from "../consumers/trigger-message.ts";
import { messageParts, SECRET, sign, toBinary, toStructured } from "../testing/messages.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { type KafkaMessage, readTrigger } from "./read-trigger.ts";

const parts = messageParts(41);
const id = parts.attributes.id ?? "";
const binary = toBinary(parts);

/** Returns the reason for which a message is refused. */
function refusal(message: KafkaMessage): string {
  try {
    readTrigger(message, SECRET);
  } catch (error) {
    if (error instanceof WebhookVerificationError || error instanceof TriggerMessageError)
      return error.reason;
    throw error;
  }
  return "none";
}

describe("a trigger is read from", () => {
  test.each<[string, KafkaMessage]>([
    ["a message in binary mode", binary],
    [
      "a message whose headers are texts, some of them twice",
      {
        value: parts.data,
        headers: {
          "webhook-id": ["other", id],
          "webhook-timestamp": parts.timestamp,
          "webhook-signature": parts.signature,
        },
      },
    ],
    [
      "a message whose headers are a map of bytes",
      {
        value: binary.value,
        headers: new Map(Object.entries(binary.headers).map(([name, value]) => [Buffer.from(name), value])),
      },
    ],
    ["a message in structured mode", toStructured(parts)],
    [
      "a message in structured mode that has its signature inside",
      {
        ...toStructured(parts, {
          "webhook-timestamp": parts.timestamp,
          "webhook-signature": parts.signature,
        }),
        headers: { "content-type": "application/cloudevents+json; charset=UTF-8" },
      },
    ],
  ])("%s", (_, message) => {
    expect(readTrigger(message, SECRET)).toEqual({
      id,
      timestamp: new Date(1_772_355_600_000),
      trigger: expect.objectContaining({ trigger: id, seq: 41, payload: { company: 42 } }),
    });
  });
});

describe("a message is refused", () => {
  test.each<[string, KafkaMessage, string]>([
    ["without a value", { value: null }, "MALFORMED"],
    ["that is undefined", undefined as never, "MALFORMED"],
    ["without headers", { value: binary.value }, "FIELD_MISSING"],
    [
      "whose document is another one",
      { ...binary, value: Buffer.from(messageParts(42).data) },
      "SIGNATURE_MISMATCH",
    ],
    ["whose structured value is not JSON", { ...toStructured(parts), value: Buffer.from("{") }, "MALFORMED"],
    [
      "that is about something else",
      toBinary(sign({ id, nominalTime: "" }, '{"type":"job.exhausted"}')),
      "NOT_A_TRIGGER",
    ],
  ])("%s", (_, message, reason) => {
    expect(refusal(message)).toBe(reason);
  });
});
