import { refusal, type WebhookVerificationError } from "./webhook-error.ts";

/** A secret, read but not yet a key: which signatures it checks, and its key in base64. */
export interface Secret {
  /** `v1` is HMAC-SHA256 with a shared secret. `v1a` is ed25519 with a public key of 32 bytes. */
  readonly version: "v1" | "v1a";
  readonly base64: string;
}

const MAX_SECRETS = 16;
const MAX_SECRET_LENGTH = 512;
const MAX_CACHED_KEYS = 256;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3}={0,2})?$/;
const PUBLIC_KEY = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Creates a function that turns secrets into keys. It remembers up to 256 keys, because making a key costs more than
 * using it. It throws a WebhookVerificationError (SECRET_MALFORMED) for no secret, more than 16, or a malformed one.
 */
export function createKeys<Key>(
  make: (secret: Secret) => Key,
): (secrets: string | readonly string[] | undefined) => Key[] {
  const known = new Map<string, Key>();
  const toKey = (secret: unknown): Key => {
    if (typeof secret !== "string") {
      throw malformed(`A secret is ${typeof secret}; it must be a string.`);
    }
    const before = known.get(secret);
    if (before !== undefined) return before;
    const key = make(parseSecret(secret));
    const [oldest] = known.keys();
    if (known.size >= MAX_CACHED_KEYS && oldest !== undefined) known.delete(oldest);
    known.set(secret, key);
    return key;
  };
  return (secrets) => {
    const list: readonly unknown[] = Array.isArray(secrets) ? secrets : [secrets];
    if (list.length === 0 || list.length > MAX_SECRETS) {
      throw malformed(`${list.length} secrets were given; 1 to ${MAX_SECRETS} are needed.`);
    }
    return list.map(toKey);
  };
}

/**
 * Reads a secret. `whsec_` and base64, or base64 alone, is a shared secret; `whpk_` and base64 is a public key. Without
 * its prefix, a public key would be taken for a shared secret that everyone knows.
 */
function parseSecret(secret: string): Secret {
  if (secret.startsWith("whsk_")) {
    throw malformed("A secret with whsk_ is a private key; give the public key, whpk_….");
  }
  if (secret.startsWith("whpk_")) {
    const base64 = secret.slice("whpk_".length);
    if (!PUBLIC_KEY.test(base64)) {
      throw malformed('A public key must be "whpk_" and base64 of 32 bytes, without white space.');
    }
    return { version: "v1a", base64 };
  }
  const base64 = secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret;
  if (secret.length > MAX_SECRET_LENGTH || base64 === "" || !BASE64.test(base64)) {
    throw malformed('A secret must be "whsec_" and base64, without white space.');
  }
  return { version: "v1", base64 };
}

function malformed(message: string): WebhookVerificationError {
  return refusal("SECRET_MALFORMED", message);
}
