import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { ClientCertificateAuth, WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";

const MIN_RSA_BITS = 2_048;
const CURVES: readonly (string | undefined)[] = ["prime256v1", "secp384r1", "secp521r1"];
const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Checks the client certificate of the webhook at the path `at`, at the time `nowMs`: the URL is https, each certificate can be read, the first has not expired and has
 * a key that is strong enough, and the private key, if it is given, is that key. Returns FIELD_INVALID for what is wrong,
 * without a word of the private key.
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
  if (read === undefined)
    return [...errors, fail("auth.clientCertificate.certificate", "It must be certificates in PEM.")];
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

/** Returns the first certificate; undefined if there is none, or one cannot be read. */
function readCertificates(pem: string): X509Certificate | undefined {
  try {
    return (pem.match(PEM_BLOCK) ?? []).map((block) => new X509Certificate(block))[0];
  } catch {
    return undefined;
  }
}

function problemOf({ validTo, publicKey }: X509Certificate, nowMs: number): string | undefined {
  const endMs = Date.parse(validTo);
  if (endMs <= nowMs)
    return `It has expired on ${new Date(endMs).toISOString().slice(0, 10)}; use one that is valid.`;
  const { modulusLength = 0, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  const isStrong =
    publicKey.asymmetricKeyType === "rsa" ? modulusLength >= MIN_RSA_BITS : CURVES.includes(namedCurve);
  return isStrong
    ? undefined
    : `Its key must be RSA of at least ${MIN_RSA_BITS} bits, or of the curve P-256, P-384 or P-521.`;
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
