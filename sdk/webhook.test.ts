import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import * as node from "./webhook.ts";
import { type VerifiedWebhook, WebhookVerificationError, type WebhookVerificationReason } from "./webhook.ts";
import * as web from "./webhook.web.ts";

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly timestamp: string;
  readonly bodyBase64: string;
  readonly signature: string;
}

const file = readFileSync(new URL("./webhook-vectors.json", import.meta.url), "utf8");
const { vectors } = JSON.parse(file) as { vectors: Vector[] };

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
const BODY = '{"type":"test","data":{"n":1}}';
const NOW_SECONDS = 1_772_355_600;
const options = { now: () => new Date(NOW_SECONDS * 1_000) };

function sign(secret: string, id: string, timestamp: string | number, body: string | Uint8Array): string {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
}

function headersOf({
  id = "msg_1",
  timestamp = `${NOW_SECONDS}`,
  signature = sign(SECRET, id, timestamp, BODY),
}) {
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
}

/** Returns what verification returns, or the reason for which it fails. */
function outcome(act: () => VerifiedWebhook): WebhookVerificationReason | VerifiedWebhook {
  try {
    return act();
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.reason;
    throw error;
  }
}

describe.each([
  ["Node", node],
  ["other runtimes", web],
])("verify in %s:", (_runtime, { verify }) => {
  describe("a genuine webhook verifies", () => {
    test.each(vectors)("$name", ({ secret, id, timestamp, bodyBase64, signature }) => {
      const now = () => new Date(Number(timestamp) * 1_000);
      const body = Buffer.from(bodyBase64, "base64");
      const verified = verify(body, headersOf({ id, timestamp, signature }), secret, { now });
      expect(verified).toMatchObject({ id, timestamp: now() });
    });

    test("and returns the data of its trigger.fired document", () => {
      const [vector] = vectors;
      if (vector === undefined) throw new Error("no vectors");
      const text = Buffer.from(vector.bodyBase64, "base64").toString();
      const { trigger, body } = verify(text, headersOf(vector), vector.secret, {
        now: () => new Date("2026-03-01T09:00:00.000Z"),
      });
      expect(body).toEqual(JSON.parse(text));
      expect(trigger).toMatchObject({ job: { name: "payroll" }, seq: 41, nextNominalTime: null, attempt: 1 });
    });

    test("without a trigger if another sender signed it", () => {
      const body = '{"type":"invoice.paid","data":{}}';
      const headers = headersOf({ signature: sign(SECRET, "msg_1", NOW_SECONDS, body) });
      expect(verify(body, headers, SECRET, options)).toMatchObject({
        trigger: undefined,
        body: JSON.parse(body),
      });
    });

    test("without a parsed body if the body is not JSON", () => {
      const body = Uint8Array.of(0xff, 0x00);
      const headers = headersOf({ signature: sign(SECRET, "msg_1", NOW_SECONDS, body) });
      expect(verify(body, headers, SECRET, options).body).toBeUndefined();
    });

    test.each([
      ["text", BODY],
      ["a Buffer", Buffer.from(BODY)],
      ["a Uint8Array that is a part of a larger one", new TextEncoder().encode(`<${BODY}>`).subarray(1, -1)],
      ["an ArrayBuffer", new TextEncoder().encode(BODY).buffer],
    ])("whose body is %s", (_name, body) => {
      expect(verify(body, headersOf({}), SECRET, options).id).toBe("msg_1");
    });

    test.each([
      ["a Headers object", new Headers(headersOf({}))],
      [
        "names in another case",
        {
          "Webhook-Id": "msg_1",
          "WEBHOOK-TIMESTAMP": `${NOW_SECONDS}`,
          "Webhook-Signature": headersOf({})["webhook-signature"],
        },
      ],
      [
        "lists of one value",
        Object.fromEntries(Object.entries(headersOf({})).map(([name, value]) => [name, [value]])),
      ],
    ])("whose headers are %s", (_name, headers) => {
      expect(verify(BODY, headers, SECRET, options).id).toBe("msg_1");
    });

    test("with any of several secrets", () => {
      expect(verify(BODY, headersOf({}), [OTHER_SECRET, SECRET], options).id).toBe("msg_1");
    });

    test("if any of its signatures is right, whatever the version and form of the others", () => {
      const others = ["v1a,AAAA", "v2,x", "v1,short", sign(OTHER_SECRET, "msg_1", NOW_SECONDS, BODY)];
      const signature = [...others, sign(SECRET, "msg_1", NOW_SECONDS, BODY)].join(" ");
      expect(verify(BODY, headersOf({ signature }), SECRET, options).id).toBe("msg_1");
    });

    test.each([-300, 300])("%i s from now", (seconds) => {
      const timestamp = `${NOW_SECONDS + seconds}`;
      expect(verify(BODY, headersOf({ timestamp }), SECRET, options).id).toBe("msg_1");
    });
  });

  describe("is refused:", () => {
    test.each<[string, WebhookVerificationReason, () => VerifiedWebhook]>([
      [
        "a body that was parsed before",
        "BODY_NOT_RAW",
        () => verify({ n: 1 } as never, headersOf({}), SECRET, options),
      ],
      ["no secret", "SECRET_MALFORMED", () => verify(BODY, headersOf({}), undefined, options)],
      ["an empty list of secrets", "SECRET_MALFORMED", () => verify(BODY, headersOf({}), [], options)],
      ["an empty key", "SECRET_MALFORMED", () => verify(BODY, headersOf({}), "whsec_", options)],
      [
        "a secret with a line break",
        "SECRET_MALFORMED",
        () => verify(BODY, headersOf({}), `${SECRET}\n`, options),
      ],
      ["a secret in base64url", "SECRET_MALFORMED", () => verify(BODY, headersOf({}), "whsec_-_-_", options)],
      [
        "a bad secret beside a good one",
        "SECRET_MALFORMED",
        () => verify(BODY, headersOf({}), [SECRET, ""], options),
      ],
      ["no headers", "HEADER_MISSING", () => verify(BODY, {}, SECRET, options)],
      ["undefined headers", "HEADER_MISSING", () => verify(BODY, undefined as never, SECRET, options)],
      [
        "an empty header",
        "HEADER_MISSING",
        () => verify(BODY, { ...headersOf({}), "webhook-id": "" }, SECRET, options),
      ],
      ["a dot in the id", "ID_MALFORMED", () => verify(BODY, headersOf({ id: "a.1" }), SECRET, options)],
      [
        "two ids",
        "ID_MALFORMED",
        () => verify(BODY, { ...headersOf({}), "webhook-id": ["a", "b"] }, SECRET, options),
      ],
      [
        "the same header in two cases",
        "ID_MALFORMED",
        () => verify(BODY, { ...headersOf({}), "Webhook-Id": "b" }, SECRET, options),
      ],
      [
        "301 s ago",
        "TIMESTAMP_TOO_OLD",
        () => verify(BODY, headersOf({ timestamp: `${NOW_SECONDS - 301}` }), SECRET, options),
      ],
      [
        "301 s ahead",
        "TIMESTAMP_TOO_NEW",
        () => verify(BODY, headersOf({ timestamp: `${NOW_SECONDS + 301}` }), SECRET, options),
      ],
      [
        "2 s ago with a tolerance of 1",
        "TIMESTAMP_TOO_OLD",
        () =>
          verify(BODY, headersOf({ timestamp: `${NOW_SECONDS - 2}` }), SECRET, {
            ...options,
            toleranceSeconds: 1,
          }),
      ],
      [
        "a signature of another version only",
        "SIGNATURE_MALFORMED",
        () => verify(BODY, headersOf({ signature: "v1a,AAAA" }), SECRET, options),
      ],
      [
        "17 signatures",
        "SIGNATURE_MALFORMED",
        () =>
          verify(
            BODY,
            headersOf({ signature: Array(17).fill(headersOf({})["webhook-signature"]).join(" ") }),
            SECRET,
            options,
          ),
      ],
      [
        "a header of 4,097 characters",
        "SIGNATURE_MALFORMED",
        () =>
          verify(
            BODY,
            headersOf({ signature: `${headersOf({})["webhook-signature"]} ${"x".repeat(4_049)}` }),
            SECRET,
            options,
          ),
      ],
      ["another secret", "SIGNATURE_MISMATCH", () => verify(BODY, headersOf({}), OTHER_SECRET, options)],
    ])("%s", (_name, reason, act) => {
      expect(outcome(act)).toBe(reason);
    });

    test.each([
      "1772355600abc",
      "1772355600.9",
      "+1772355600",
      " 1772355600",
      "1e9",
      "-1",
      "0x10",
      "1772355600000",
    ])("the timestamp %j", (timestamp) => {
      expect(outcome(() => verify(BODY, headersOf({ timestamp }), SECRET, options))).toBe(
        "TIMESTAMP_MALFORMED",
      );
    });

    test("a signature that is the right one in another form", () => {
      const [version, base64 = ""] = headersOf({})["webhook-signature"].split(",");
      const bytes = Buffer.from(base64, "base64");
      const spareBits = `${base64.slice(0, 42)}${String.fromCharCode(base64.charCodeAt(42) + 1)}=`;
      expect(Buffer.from(spareBits, "base64")).toEqual(bytes);
      for (const form of [
        bytes.toString("hex"),
        bytes.toString("base64url"),
        base64.slice(0, -1),
        spareBits,
      ]) {
        const headers = headersOf({ signature: `${version},${form}` });
        expect(outcome(() => verify(BODY, headers, SECRET, options))).toBe("SIGNATURE_MALFORMED");
      }
    });

    test("bytes that look the same as text", () => {
      const headers = headersOf({ signature: sign(SECRET, "msg_1", NOW_SECONDS, Uint8Array.of(0xff)) });
      expect(outcome(() => verify("\ufffd", headers, SECRET, options))).toBe("SIGNATURE_MISMATCH");
    });

    test("a tolerance or a clock that is no number, by a RangeError", () => {
      const withTolerance = (toleranceSeconds: number) => () =>
        verify(BODY, headersOf({}), SECRET, { ...options, toleranceSeconds });
      expect(withTolerance(Number.NaN)).toThrow(RangeError);
      expect(withTolerance(-1)).toThrow(RangeError);
      expect(() => verify(BODY, headersOf({}), SECRET, { now: () => new Date(Number.NaN) })).toThrow(
        RangeError,
      );
    });
  });
});

test.each([node, web])("no message shows a secret or a signature", ({ verify }) => {
  for (const act of [
    () => verify(BODY, headersOf({}), OTHER_SECRET, options),
    () => verify(BODY, headersOf({}), "whsec_se cret", options),
    () => verify(BODY, headersOf({ signature: "v1,se cret" }), SECRET, options),
  ]) {
    expect(act).toThrow(WebhookVerificationError);
    expect(act).not.toThrow(/se cret|CAgI|BwcH/);
  }
});

test("the library standardwebhooks makes the same signatures as the vectors", () => {
  for (const { secret, id, timestamp, bodyBase64, signature } of vectors) {
    const body = Buffer.from(bodyBase64, "base64");
    // The library turns bytes into text first, so it cannot sign a body that is not UTF-8.
    if (!Buffer.from(body.toString()).equals(body)) continue;
    expect(new Webhook(secret).sign(id, new Date(Number(timestamp) * 1_000), body.toString())).toBe(
      signature,
    );
  }
});
