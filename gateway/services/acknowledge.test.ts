import { create } from "@bufbuild/protobuf";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { expect, test } from "vitest";
import {
  Acknowledgement,
  AcknowledgeTriggerRequestSchema,
} from "../../gen/easycron/v1/trigger_service_pb.ts";
import { createAcknowledge } from "./acknowledge.ts";

const context = {
  values: createContextValues(),
  signal: new AbortController().signal,
  timeoutMs: () => undefined,
} as unknown as HandlerContext;
const request = (token: string, fields: object = {}) =>
  create(AcknowledgeTriggerRequestSchema, { id: "trg_1", token, ...fields });

test("few calls with the tokens of one project are under way at once, and they leave room for others", async () => {
  const ends: (() => void)[] = [];
  const acknowledgeTrigger = () =>
    new Promise((resolve) => ends.push(() => resolve({ response: { explanation: "" } })));
  const acknowledge = createAcknowledge({ acknowledgeTrigger } as never);
  const calls = Array.from({ length: 32 }, () => acknowledge(request("ack_proj_a.1.x"), context));
  await expect(acknowledge(request("ack_proj_a.2.y"), context)).rejects.toMatchObject({
    reason: "TOO_MANY_CALLS",
    retryAfterMs: 1_000,
  });
  calls.push(acknowledge(request("ack_proj_b.1.x"), context));
  for (const end of ends) end();
  await Promise.all(calls);
  const after = acknowledge(request("ack_proj_a.1.x"), context);
  ends.at(-1)?.();
  await after;
});

test("in all, at most 256 calls are under way", async () => {
  const acknowledge = createAcknowledge({ acknowledgeTrigger: () => new Promise(() => {}) } as never);
  for (let number = 0; number < 256; number++) void acknowledge(request(`ack_proj_${number}.1.x`), context);
  await expect(acknowledge(request("ack_proj_new.1.x"), context)).rejects.toMatchObject({
    reason: "TOO_MANY_CALLS",
  });
});

test("extendBy belongs to an extension", async () => {
  const acknowledge = createAcknowledge({ acknowledgeTrigger: () => new Promise(() => {}) } as never);
  const wrong = [{ outcome: Acknowledgement.EXTENDED }, { extendBy: { seconds: 5n } }];
  for (const fields of wrong) {
    await expect(acknowledge(request("ack_proj_a.1.x", fields), context)).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "extendBy" }],
    });
  }
});
