import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import * as node from "./webhook.ts";
import { WebhookVerificationError } from "./webhook.ts";
import * as web from "./webhook.web.ts";

const secretText = fc
  .uint8Array({ minLength: 24, maxLength: 100, size: "max" })
  .map((bytes) => `whsec_${Buffer.from(bytes).toString("base64")}`);
const webhook = fc.record({
  secret: secretText,
  id: fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/),
  body: fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.json()),
});
const now = () => new Date(Math.floor(Date.now() / 1_000) * 1_000);

/** The headers that the library standardwebhooks makes. */
function signed({ secret, id, body }: { secret: string; id: string; body: string }) {
  const sentAt = now();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(sentAt.getTime() / 1_000),
    "webhook-signature": new Webhook(secret).sign(id, sentAt, body),
  };
}

/** Returns a copy in which one byte is different. */
function changeByte(bytes: Uint8Array, at: number, by: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const index = at % changed.length;
  changed[index] = ((changed[index] ?? 0) + by) % 256;
  return changed;
}

describe.each([
  ["Node", node],
  ["other runtimes", web],
])("in %s, for any secret, id and body", (_runtime, { verify }) => {
  test("what standardwebhooks signs, verify accepts", () => {
    fc.assert(
      fc.property(webhook, ({ secret, id, body }) => {
        expect(verify(Buffer.from(body), signed({ secret, id, body }), secret).id).toBe(id);
      }),
    );
  });

  test("what verify accepts, standardwebhooks accepts", () => {
    fc.assert(
      fc.property(webhook, ({ secret, id, body }) => {
        const headers = signed({ secret, id, body });
        verify(body, headers, secret);
        expect(() => new Webhook(secret).verify(body, headers, { jsonParse: false })).not.toThrow();
      }),
    );
  });

  test("one changed byte anywhere in body, headers or secret is refused", () => {
    const part = fc.constantFrom(
      "body",
      "webhook-id",
      "webhook-timestamp",
      "webhook-signature",
      "secret" as const,
    );
    fc.assert(
      fc.property(
        webhook,
        part,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        ({ secret, id, body }, which, at, by) => {
          const headers = signed({ secret, id, body });
          const change = (text: string) =>
            Buffer.from(changeByte(Buffer.from(text, "latin1"), at, by)).toString("latin1");
          if (which === "body") {
            fc.pre(body.length > 0);
            const changed = changeByte(Buffer.from(body), at, by);
            expect(() => verify(changed, headers, secret)).toThrow(WebhookVerificationError);
          } else if (which === "secret") {
            const key = Buffer.from(secret.slice("whsec_".length), "base64");
            const changed = `whsec_${Buffer.from(changeByte(key, at, by)).toString("base64")}`;
            expect(() => verify(body, headers, changed)).toThrow(WebhookVerificationError);
          } else {
            const changed = { ...headers, [which]: change(headers[which as keyof typeof headers]) };
            expect(() => verify(body, changed, secret)).toThrow(WebhookVerificationError);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("verify throws only its own error, whatever the headers are", () => {
    const value = fc.oneof(fc.string({ unit: "binary" }), fc.array(fc.string()), fc.constant(undefined));
    const headers = fc.record({
      "webhook-id": value,
      "webhook-timestamp": value,
      "webhook-signature": value,
    });
    fc.assert(
      fc.property(headers, fc.string(), secretText, (given, body, secret) => {
        expect(() => verify(body, given, secret)).toThrow(WebhookVerificationError);
      }),
    );
  });
});
