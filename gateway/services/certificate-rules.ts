import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { ClientCertificateAuth, WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";

const MIN_RSA_BITS = 2_048;
/** A signature with 4096 bits takes some ms of the dispatcher in each handshake, and one with 16384 bits takes 400 ms. */
const MAX_RSA_BITS = 4_096;
const CURVES: readonly (string | undefined)[] = ["prime256v1", "secp384r1", "secp521r1"];
const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Checks the client certificate of the webhook at the path `at`, at the time `nowMs`: the URL is https, each certificate can
 * be read, nothing is beside them, the first has not expired and has a key that is neither too weak nor too slow, and the
 * private key, if it is given, is that key. Returns FIELD_INVALID for what is wrong, without a word of the private key.
 */
export function certificateErrors(
  { url }: Pick<WebhookTarget, "url">,
  { certificate, key }: Pick<ClientCertificateAuth, "certificate" | "key">,
  nowMs: number,
  at: string,
): EasyCronError[] {
  const fail = (field: string, problem: string) => fieldFailure("FIELD_INVALID", `${at}.${field}`, problem);
  const errors: EasyCronError[] = [];
  if (!/^https:/i.test(url))
    errors.push(fail("url", "A client certificate is shown in TLS only; use a URL that begins with https."));
  const read = readCertificates(certificate);
  if (typeof read === "string") return [...errors, fail("auth.clientCertificate.certificate", read)];
  const problem = problemOf(read, nowMs);
  if (problem !== undefined) errors.push(fail("auth.clientCertificate.certificate", problem));
  if (key === undefined) return errors;
  const privateKey = readKey(key);
  if (privateKey === undefined)
    errors.push(
      fail("auth.clientCertificate.key", "It must be one private key in PEM that is not encrypted."),
    );
  else if (!read.checkPrivateKey(privateKey))
    errors.push(
      fail(
        "auth.clientCertificate.key",
        "It is not the key of the certificate; give the two that belong together.",
      ),
    );
  return errors;
}

/** Returns the first certificate, or what is wrong: there is none, one cannot be read, or something is beside them. */
function readCertificates(pem: string): X509Certificate | string {
  // The whole text is stored and shown, so it must not have what is secret.
  const rest = pem.replace(PEM_BLOCK, "").trim();
  if (/PRIVATE KEY/i.test(rest))
    return "It has a private key beside the certificates, but it is shown in answers; give the private key as key.";
  try {
    const [first] = (pem.match(PEM_BLOCK) ?? []).map((block) => new X509Certificate(block));
    if (first === undefined) return "It must be certificates in PEM.";
    return rest === "" ? first : "It must be certificates in PEM and nothing else.";
  } catch {
    return "It must be certificates in PEM.";
  }
}

function problemOf(certificate: X509Certificate, nowMs: number): string | undefined {
  const endMs = Date.parse(certificate.validTo);
  if (endMs <= nowMs)
    return `It has expired on ${new Date(endMs).toISOString().slice(0, 10)}; use one that is valid.`;
  const publicKey = readPublicKey(certificate);
  if (publicKey === undefined) return "Its key cannot be read; use another certificate.";
  const { modulusLength = 0, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  const isSuitable =
    publicKey.asymmetricKeyType === "rsa"
      ? modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS
      : CURVES.includes(namedCurve);
  return isSuitable
    ? undefined
    : `Its key must be RSA of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits, or of the curve P-256, P-384 or P-521.`;
}

// OpenSSL decodes the key only when it is asked for it, and fails then.
function readPublicKey(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
