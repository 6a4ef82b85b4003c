/** Why a webhook was refused. */
export type WebhookVerificationReason =
  /** The body is not text or bytes: a framework has parsed it already. */
  | "BODY_NOT_RAW"
  /** There is no secret, or one is malformed. This is a mistake of the receiver, not of the sender. */
  | "SECRET_MALFORMED"
  /** The header webhook-id, webhook-timestamp or webhook-signature is missing. */
  | "HEADER_MISSING"
  /** webhook-id is not 1 to 128 characters of A-Z, a-z, 0-9, underscore and hyphen. */
  | "ID_MALFORMED"
  /** webhook-timestamp is not 1 to 12 digits. */
  | "TIMESTAMP_MALFORMED"
  /** The webhook was sent longer ago than the tolerance allows. */
  | "TIMESTAMP_TOO_OLD"
  /** The webhook was sent later than now plus the tolerance. */
  | "TIMESTAMP_TOO_NEW"
  /**
   * webhook-signature holds no signature of a version that the secrets check, more than 16 signatures, or more than
   * 4,096 characters.
   */
  | "SIGNATURE_MALFORMED"
  /** No signature matches this id, timestamp and body with any of the secrets. */
  | "SIGNATURE_MISMATCH"
  /** This runtime cannot check ed25519: `verify` cannot outside Node, `verifyAsync` cannot in an old browser. */
  | "ALGORITHM_UNAVAILABLE";

/**
 * The webhook is not genuine, or this cannot be checked. Answer it with 400 and do nothing else.
 *
 * @example
 * ```ts
 * try {
 *   verify("{}", {}, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
 * } catch (error) {
 *   if (!(error instanceof WebhookVerificationError)) throw error;
 *   console.log(error.reason); // HEADER_MISSING
 * }
 * ```
 */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";
  /** Why the webhook was refused, for programs. */
  readonly reason: WebhookVerificationReason;

  constructor(reason: WebhookVerificationReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Makes the error for a webhook that is refused. */
export function refusal(reason: WebhookVerificationReason, message: string): WebhookVerificationError {
  return new WebhookVerificationError(reason, message);
}
