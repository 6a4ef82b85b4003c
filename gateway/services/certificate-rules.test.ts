import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
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

const fieldsOf = (target: { url: string }, auth: { certificate: string; key?: string }) =>
  certificateErrors(target, auth, Date.now(), "job.target.webhook").flatMap(({ violations }) => violations);

test("a certificate with its key is accepted, also with its authority, or with RSA", () => {
  expect(fieldsOf(https, { certificate: cert, key })).toEqual([]);
  expect(fieldsOf(https, { certificate: cert + authority.certificate, key })).toEqual([]);
  expect(fieldsOf(https, { certificate: cert })).toEqual([]);
  expect(fieldsOf(https, rsa(2_048))).toEqual([]);
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
  ["a short key", https, rsa(1_024), "auth.clientCertificate.certificate", "2048 bits"],
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
