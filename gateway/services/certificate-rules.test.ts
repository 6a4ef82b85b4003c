import { execFileSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificate.ts";
import { certificateErrors } from "./certificate-rules.ts";

const authority = createTestAuthority();
const { cert, key } = authority.issue();
const other = authority.issue();
const ended = authority.issue({ validMs: [Date.UTC(2020, 0, 1), Date.UTC(2020, 5, 1)] });
const https = { url: "https://example.com/" };

function rsa(bits: number) {
  const options = ["-nodes", "-subj", "/CN=a", "-days", "2", "-keyout", "-"];
  const text = execFileSync("openssl", ["req", "-x509", "-newkey", `rsa:${bits}`, ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const at = text.indexOf("-----BEGIN CERTIFICATE");
  return { certificate: text.slice(at), key: text.slice(0, at) };
}

/** A certificate with an RSA key of so many bits, without the time that finding its primes takes. */
function withModulus(bits: number) {
  const modulus = randomBytes(bits / 8);
  modulus[0] = 0xff;
  const key = { kty: "RSA", n: modulus.toString("base64url"), e: "AQAB" };
  return { certificate: authority.issue({ publicKey: createPublicKey({ key, format: "jwk" }) }).cert };
}

/** A certificate whose key is a point that is not on its curve. */
function withoutPoint(pem: string): string {
  const { raw, publicKey } = new X509Certificate(pem);
  const point = publicKey.export({ type: "spki", format: "der" }).subarray(-64);
  raw.fill(1, raw.indexOf(point), raw.indexOf(point) + point.length);
  return `-----BEGIN CERTIFICATE-----\n${raw.toString("base64")}\n-----END CERTIFICATE-----\n`;
}

const fieldsOf = (target: { url: string }, auth: { certificate: string; key?: string }) =>
  certificateErrors(target, auth, Date.now(), "job.target.webhook").flatMap(({ violations }) => violations);

test("a certificate with its key is accepted, also with its authority, or with RSA", () => {
  expect(fieldsOf(https, { certificate: cert, key })).toEqual([]);
  expect(fieldsOf(https, { certificate: cert + authority.certificate, key })).toEqual([]);
  expect(fieldsOf(https, { certificate: cert })).toEqual([]);
  expect(fieldsOf(https, { certificate: `\n${cert}\r\n\n${authority.certificate}\n`, key })).toEqual([]);
  expect(fieldsOf(https, rsa(2_048))).toEqual([]);
  expect(fieldsOf(https, withModulus(4_096))).toEqual([]);
});

const encrypted = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "a" },
});

test.each<[string, { url: string }, { certificate: string; key?: string }, string, string]>([
  ["a URL without TLS", { url: "http://example.com/" }, { certificate: cert, key }, "url", "https"],
  ["no certificate", https, { certificate: "nothing", key }, "auth.clientCertificate.certificate", "in PEM"],
  [
    "a broken one",
    https,
    { certificate: cert.replace(/M/g, "N"), key },
    "auth.clientCertificate.certificate",
    "in PEM",
  ],
  [
    "one that has expired",
    https,
    { certificate: ended.cert, key: ended.key },
    "auth.clientCertificate.certificate",
    "2020-06-01",
  ],
  ["a short key", https, rsa(1_024), "auth.clientCertificate.certificate", "2048 to 4096 bits"],
  ["a long key", https, withModulus(4_104), "auth.clientCertificate.certificate", "2048 to 4096 bits"],
  [
    "one with its key beside it",
    https,
    { certificate: cert + key, key },
    "auth.clientCertificate.certificate",
    "has a private key",
  ],
  [
    "a key alone",
    https,
    { certificate: key, key },
    "auth.clientCertificate.certificate",
    "has a private key",
  ],
  [
    "one with a text beside it",
    https,
    { certificate: `marked-secret\n${cert}`, key },
    "auth.clientCertificate.certificate",
    "and nothing else",
  ],
  [
    "one whose key cannot be decoded",
    https,
    { certificate: withoutPoint(cert) },
    "auth.clientCertificate.certificate",
    "key cannot be read",
  ],
  [
    "the key of another",
    https,
    { certificate: cert, key: other.key },
    "auth.clientCertificate.key",
    "not the key",
  ],
  ["no key", https, { certificate: cert, key: "marked-secret" }, "auth.clientCertificate.key", "in PEM"],
  [
    "an encrypted key",
    https,
    { certificate: cert, key: encrypted.privateKey },
    "auth.clientCertificate.key",
    "not encrypted",
  ],
])("%s is refused without a word of the key", (_, target, auth, field, words) => {
  const found = fieldsOf(target, auth);
  expect(found).toMatchObject([
    { field: `job.target.webhook.${field}`, description: expect.stringContaining(words) },
  ]);
  expect(JSON.stringify(found)).not.toMatch(/marked-secret|PRIVATE/);
});
