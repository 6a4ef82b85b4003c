import { createPublicKey, verify } from "node:crypto";

/**
 * Whether the one signature in webhook-signature is an ed25519 signature by a public key, `whpk_…`. Verifies it with
 * node:crypto alone.
 */
export function isEd25519(
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  publicKey: string,
): boolean {
  const x = Buffer.from(publicKey.replace("whpk_", ""), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const prefix = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const content = Buffer.concat([Buffer.from(prefix), body]);
  const [, signature = ""] = /^v1a,(.+)$/.exec(headers["webhook-signature"] ?? "") ?? [];
  return verify(null, content, key, Buffer.from(signature, "base64"));
}
