import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import * as node from "./webhook.ts";
import * as web from "./webhook.web.ts";

const KEY = Buffer.alloc(32, 7);
const OTHER_KEY = Buffer.alloc(32, 8);
const SECRET = `whsec_${KEY.toString("base64")}`;
const SECONDS = 1_772_355_600;
const options = { now: () => new Date(SECONDS * 1_000) };

function signatureOf(id: string, key = KEY): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${SECONDS}.{}`).digest("base64")}`;
}

function headersOf(id: string, signature = signatureOf(id)): Record<string, string> {
  return { "webhook-id": id, "webhook-timestamp": `${SECONDS}`, "webhook-signature": signature };
}

describe.each([
  ["Node", node],
  ["other runtimes", web],
])("verify in %s", (_runtime, { verify }) => {
  test("accepts an id of 128 characters and refuses one of 129", () => {
    const longest = "a".repeat(128);
    expect(verify("{}", headersOf(longest), SECRET, options).id).toBe(longest);
    expect(() => verify("{}", headersOf(`${longest}a`), SECRET, options)).toThrow(
      expect.objectContaining({ reason: "ID_MALFORMED" }),
    );
  });

  test.each([
    ["is shorter", (signature: string) => `${signature.slice(0, 42)}A=`],
    ["is longer", (signature: string) => `${signature.slice(0, 46)}AAA=`],
    ["is of another version", (signature: string) => signature.replace("v1,", "v2,")],
    ["follows other text", (signature: string) => `---v1,${signature.slice(6)}`],
  ])("refuses a signature that %s, also after a genuine request", (_how, change) => {
    verify("{}", headersOf("msg_1"), SECRET, options);
    const headers = headersOf("msg_1", change(signatureOf("msg_1")));
    expect(() => verify("{}", headers, SECRET, options)).toThrow(
      expect.objectContaining({ reason: "SIGNATURE_MALFORMED" }),
    );
  });

  test("reads no header whose name only has the right length", () => {
    const { "webhook-id": id = "", ...others } = headersOf("msg_1");
    expect(() => verify("{}", { ...others, "webhook-xy": id }, SECRET, options)).toThrow(
      expect.objectContaining({ reason: "HEADER_MISSING" }),
    );
  });

  test("uses the right key when receivers with different secrets take turns", () => {
    for (const key of [KEY, OTHER_KEY, KEY]) {
      const secret = `whsec_${key.toString("base64")}`;
      expect(verify("{}", headersOf("msg_1", signatureOf("msg_1", key)), secret, options).id).toBe("msg_1");
    }
  });
});
