import { createHmac, createSecretKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toSigner } from "../signing-keys/signing-secret.ts";
import { signWebhook } from "./signature.ts";

interface Vector {
  readonly name: string;
  readonly id: string;
  readonly timestamp: string;
  readonly bodyBase64: string;
  readonly signature: string;
}

// Their private keys are 32 bytes of 1, of 2, of 3 and of 4.
const { vectors } = JSON.parse(
  readFileSync(new URL("../../sdk/webhook-v1a-vectors.json", import.meta.url), "utf8"),
) as { readonly vectors: readonly Vector[] };

// RFC 8032, section 7.1: private key, message, signature, in hexadecimal digits.
const RFC_8032: readonly (readonly [name: string, key: string, message: string, signature: string])[] = [
  [
    "TEST 1",
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "TEST 2",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "TEST 3",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
];

test.each(RFC_8032)(
  "the ed25519 key of RFC 8032, section 7.1, %s, signs as it says",
  (_name, key, message, wanted) => {
    const signer = toSigner("ED25519", Buffer.from(key, "hex"));
    expect(sign(null, Buffer.from(message, "hex"), signer).toString("hex")).toBe(wanted);
  },
);

describe("webhook-signature", () => {
  test.each(vectors.map((vector, index) => [vector.name, vector, index + 1] as const))(
    "with an ed25519 key is that of an independent implementation: %s",
    (_name, { id, timestamp, bodyBase64, signature }, byte) => {
      const content = { id, timestampSeconds: Number(timestamp), body: Buffer.from(bodyBase64, "base64") };
      expect(signWebhook(content, [toSigner("ED25519", Buffer.alloc(32, byte))])).toBe(signature);
    },
  );

  test("has one signature of each key, in their order, with a space between", () => {
    const [vector] = vectors;
    const body = Buffer.from(vector?.bodyBase64 ?? "", "base64");
    const content = { id: vector?.id ?? "", timestampSeconds: Number(vector?.timestamp), body };
    const secrets = [Buffer.alloc(32, 7), Buffer.alloc(24, 8)];
    const shared = secrets.map((secret) => {
      const text = Buffer.concat([Buffer.from(`${content.id}.${content.timestampSeconds}.`), body]);
      return `v1,${createHmac("sha256", secret).update(text).digest("base64")}`;
    });
    const keys = [
      ...secrets.map((secret) => createSecretKey(secret)),
      toSigner("ED25519", Buffer.alloc(32, 1)),
    ];
    expect(signWebhook(content, keys)).toBe([...shared, vector?.signature].join(" "));
  });
});
