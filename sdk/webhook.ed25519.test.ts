import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import * as node from "./webhook.ts";
import { type VerifiedWebhook, WebhookVerificationError, type WebhookVerificationReason } from "./webhook.ts";
import * as web from "./webhook.web.ts";
import { isSignedByAny, toNodeKeys } from "./webhook-node.ts";
import { isSignedByAnyAsync, toWebKeys } from "./webhook-web.ts";

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly timestamp: string;
  readonly bodyBase64: string;
  readonly signature: string;
}

function readVectors(file: string): Vector[] {
  const text = readFileSync(new URL(file, import.meta.url), "utf8");
  return (JSON.parse(text) as { vectors: Vector[] }).vectors;
}

// RFC 8032, section 7.1: public key, message, signature, in hexadecimal digits.
const RFC_8032: readonly (readonly [name: string, key: string, message: string, signature: string])[] = [
  [
    "TEST 1",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "TEST 2",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "TEST 3",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
];

const vectors = readVectors("./webhook-v1a-vectors.json");
const v1Vectors = readVectors("./webhook-vectors.json");
const RUNTIMES = [
  ["Node", node],
  ["other runtimes", web],
] as const;

afterEach(() => vi.unstubAllGlobals());

function headersOf({ id, timestamp, signature }: Pick<Vector, "id" | "timestamp" | "signature">) {
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
}

/** Verifies a vector at the time it was sent, with changes. */
function verifyVector(runtime: typeof node | typeof web, vector: Vector, secrets: string | string[]) {
  const now = () => new Date(Number(vector.timestamp) * 1_000);
  const body = Buffer.from(vector.bodyBase64, "base64");
  return runtime.verifyAsync(body, headersOf(vector), secrets, { now });
}

/** Returns the reason for which a verification fails. */
async function reasonOf(act: () => Promise<VerifiedWebhook>): Promise<WebhookVerificationReason | undefined> {
  try {
    await act();
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.reason;
    throw error;
  }
  return undefined;
}

describe.each(RFC_8032)("the signature of RFC 8032, section 7.1, %s", (_name, key, message, signature) => {
  const secret = `whpk_${Buffer.from(key, "hex").toString("base64")}`;
  const content = Buffer.from(message, "hex");
  const bytes = Buffer.from(signature, "hex");
  const changed = Buffer.from(bytes);
  changed[0] = (changed[0] ?? 0) ^ 1;
  const only = (of: Buffer) => ({ v1: [], v1a: [of.toString("base64")] });

  test("is right in Node, and wrong after a change", () => {
    expect(isSignedByAny(toNodeKeys(secret), only(bytes), "", content)).toBe(true);
    expect(isSignedByAny(toNodeKeys(secret), only(changed), "", content)).toBe(false);
  });

  test("is right for WebCrypto, and wrong after a change", async () => {
    const copy = Uint8Array.from(content);
    expect(await isSignedByAnyAsync(toWebKeys(secret), only(bytes), copy)).toBe(true);
    expect(await isSignedByAnyAsync(toWebKeys(secret), only(changed), copy)).toBe(false);
  });
});

describe.each(RUNTIMES)("verifyAsync in %s", (_name, runtime) => {
  test.each([...v1Vectors, ...vectors])("accepts $signature: $name", async (vector) => {
    expect((await verifyVector(runtime, vector, vector.secret)).id).toBe(vector.id);
  });

  test("accepts a request that a shared secret and a public key signed, with either of them", async () => {
    const [v1] = v1Vectors;
    const [v1a] = vectors;
    if (v1 === undefined || v1a === undefined) throw new Error("no vectors");
    const both = { ...v1, signature: `${v1.signature} ${v1a.signature}` };
    for (const secrets of [v1.secret, v1a.secret, [v1a.secret, v1.secret]]) {
      expect((await verifyVector(runtime, both, secrets)).id).toBe(v1.id);
    }
  });

  test.each<[string, WebhookVerificationReason, (vector: Vector) => Partial<Vector>]>([
    ["another body", "SIGNATURE_MISMATCH", () => ({ bodyBase64: "e30=" })],
    ["another id", "SIGNATURE_MISMATCH", () => ({ id: "msg_other" })],
    ["another public key", "SIGNATURE_MISMATCH", () => ({ secret: vectors[1]?.secret ?? "" })],
    [
      "the signature as one of version v1",
      "SIGNATURE_MALFORMED",
      (vector) => ({ signature: vector.signature.replace("v1a", "v1") }),
    ],
    [
      "a signature with another last character for the same bytes",
      "SIGNATURE_MALFORMED",
      ({ signature }) => ({
        signature: `${signature.slice(0, -3)}${String.fromCharCode(signature.charCodeAt(89) + 1)}==`,
      }),
    ],
    ["a public key of 31 bytes", "SECRET_MALFORMED", () => ({ secret: `whpk_${"A".repeat(42)}==` })],
    ["a private key", "SECRET_MALFORMED", ({ secret }) => ({ secret: secret.replace("whpk_", "whsk_") })],
    [
      "a shared secret for a request that only a public key signed",
      "SIGNATURE_MALFORMED",
      () => ({ secret: v1Vectors[0]?.secret ?? "" }),
    ],
  ])("refuses %s", async (_title, reason, change) => {
    const [vector] = vectors;
    if (vector === undefined) throw new Error("no vectors");
    const changed = { ...vector, ...change(vector) };
    expect(await reasonOf(() => verifyVector(runtime, changed, changed.secret))).toBe(reason);
  });

  test("says of a private key that the public one is needed", async () => {
    const [vector] = vectors;
    if (vector === undefined) throw new Error("no vectors");
    const secret = vector.secret.replace("whpk_", "whsk_");
    await expect(verifyVector(runtime, vector, secret)).rejects.toThrow("give the public key, whpk_…");
  });

  test("never takes a public key for a shared secret", async () => {
    const [vector] = vectors;
    if (vector === undefined) throw new Error("no vectors");
    // Whoever knows the public key can make this signature.
    const { createHmac } = await import("node:crypto");
    const key = Buffer.from(vector.secret.slice("whpk_".length), "base64");
    const content = Buffer.concat([
      Buffer.from(`${vector.id}.${vector.timestamp}.`),
      Buffer.from(vector.bodyBase64, "base64"),
    ]);
    const signature = `v1,${createHmac("sha256", key).update(content).digest("base64")}`;
    const forged = { ...vector, signature };
    expect(await reasonOf(() => verifyVector(runtime, forged, vector.secret))).toBe("SIGNATURE_MALFORMED");
  });

  test("accepts what Node's ed25519 signs, and refuses it with one changed byte", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const der = publicKey.export({ format: "der", type: "spki" });
    const secret = `whpk_${der.subarray(-32).toString("base64")}`;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(63), async (body, at) => {
        const bytes = sign(null, Buffer.concat([Buffer.from("msg_1.1772355600."), body]), privateKey);
        const vector = {
          name: "",
          secret,
          id: "msg_1",
          timestamp: "1772355600",
          bodyBase64: Buffer.from(body).toString("base64"),
          signature: `v1a,${bytes.toString("base64")}`,
        };
        expect((await verifyVector(runtime, vector, secret)).id).toBe("msg_1");
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
        const changed = { ...vector, signature: `v1a,${bytes.toString("base64")}` };
        expect(await reasonOf(() => verifyVector(runtime, changed, secret))).toBe("SIGNATURE_MISMATCH");
      }),
      { numRuns: 50 },
    );
  });
});

describe("without Node's crypto", () => {
  const [vector] = vectors;
  const now = () => new Date(Number(vector?.timestamp) * 1_000);
  const body = Buffer.from(vector?.bodyBase64 ?? "", "base64");

  test("verify says that verifyAsync checks public keys", () => {
    if (vector === undefined) throw new Error("no vectors");
    const act = () => web.verify(body, headersOf(vector), vector.secret, { now });
    expect(act).toThrow(expect.objectContaining({ reason: "ALGORITHM_UNAVAILABLE" }));
    expect(act).toThrow("verify cannot check ed25519 here; use verifyAsync.");
  });

  test("verify in Node checks public keys at once", () => {
    if (vector === undefined) throw new Error("no vectors");
    expect(node.verify(body, headersOf(vector), vector.secret, { now }).id).toBe(vector.id);
  });

  test.each([
    ["no WebCrypto", undefined],
    [
      "a WebCrypto without ed25519",
      { subtle: { importKey: async () => Promise.reject(new DOMException("no", "NotSupportedError")) } },
    ],
  ])("verifyAsync says so in a runtime with %s", async (_title, crypto) => {
    if (vector === undefined) throw new Error("no vectors");
    vi.stubGlobal("crypto", crypto);
    expect(await reasonOf(() => verifyVector(web, vector, vector.secret))).toBe("ALGORITHM_UNAVAILABLE");
  });

  test("a body that changes while WebCrypto works does not become the result", async () => {
    if (vector === undefined) throw new Error("no vectors");
    const pending = web.verifyAsync(body, headersOf(vector), vector.secret, { now });
    const text = body.toString();
    body.fill(0x20);
    expect((await pending).body).toEqual(JSON.parse(text));
  });
});
