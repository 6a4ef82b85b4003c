import { expect, test } from "vitest";
import { isReservedHeader } from "./reserved-headers.ts";

test.each([
  ...[
    "Host",
    "content-length",
    "Content-Type",
    "transfer-encoding",
    "connection",
    "Upgrade",
    "TE",
    "trailer",
  ],
  ...["Expect", "keep-alive", "Proxy-Authorization", "proxy-connection", "user-agent", "idempotency-key"],
  ...[
    "traceparent",
    "tracestate",
    "webhook-id",
    "Webhook-Signature",
    "webhook-",
    "easycron-attempt",
    "EasyCron-X",
  ],
])("%s is reserved", (name) => {
  expect(isReservedHeader(name)).toBe(true);
});

test.each(["authorization", "x-webhook-id", "x-host", "accept", "cookie", "hosts", "webhook"])(
  "%s is free",
  (name) => {
    expect(isReservedHeader(name)).toBe(false);
  },
);
