import { refusal, type WebhookVerificationError } from "./webhook-error.ts";

/** The signatures of a `webhook-signature` header by their version. */
export interface Signatures {
  /** HMAC-SHA256, 32 bytes: as in the header, `v1,` and base64. */
  readonly v1: readonly string[];
  /** ed25519, 64 bytes, in base64. */
  readonly v1a: readonly string[];
}

const MAX_SIGNATURES = 16;
const MAX_HEADER_LENGTH = 4_096;

// Base64 in the canonical form only, so that equal bytes are equal texts: the last character of 32 bytes carries four
// bits, that of 64 bytes carries two, and its other bits are zero. Beside a form, the length is checked: a form with a
// number of repetitions takes twice as long.
const V1 = /^v1,[A-Za-z0-9+/]+[AEIMQUYcgkosw048]=$/;
const V1A = /^v1a,[A-Za-z0-9+/]+[AQgw]==$/;

/**
 * Parses a `webhook-signature` header. Ignores signatures of other versions and forms. Throws a
 * WebhookVerificationError (SIGNATURE_MALFORMED) if there is none of a version that the keys check.
 */
export function parseSignatures(
  header: string,
  keys: readonly { readonly version: keyof Signatures }[],
): Signatures {
  if (header.length > MAX_HEADER_LENGTH) {
    throw malformed(`has ${header.length} characters; at most ${MAX_HEADER_LENGTH} are read`);
  }
  const v1: string[] = [];
  const v1a: string[] = [];
  let count = 0;
  // Without split(), because nearly every header holds one signature.
  for (let start = 0; start < header.length; ) {
    const space = header.indexOf(" ", start);
    const end = space === -1 ? header.length : space;
    const text = header.slice(start, end);
    if (text !== "") count += 1;
    if (text.length === 47 && V1.test(text)) v1.push(text);
    else if (text.length === 92 && V1A.test(text)) v1a.push(text.slice("v1a,".length));
    start = end + 1;
  }
  if (count > MAX_SIGNATURES) {
    throw malformed(`holds ${count} signatures; at most ${MAX_SIGNATURES} are read`);
  }
  const signatures = { v1, v1a };
  if (keys.some(({ version }) => signatures[version].length > 0)) return signatures;
  const wanted = new Set(keys.map(({ version }) => version));
  const forms = { v1: '"v1,<base64 of 32 bytes>"', v1a: '"v1a,<base64 of 64 bytes>"' };
  throw malformed(
    `holds no signature of the form ${[...wanted].map((version) => forms[version]).join(" or ")}`,
  );
}

function malformed(problem: string): WebhookVerificationError {
  return refusal("SIGNATURE_MALFORMED", `The header webhook-signature ${problem}.`);
}
