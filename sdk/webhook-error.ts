/** Why a webhook was refused. */
export type WebhookVerificationReason =
  /** The body is not text or bytes: a framework has parsed it already. */
  | "BODY_NOT_RAW"
  /** No secret, or one that is not base64: a fault of the receiver, not of the sender. */
  | "SECRET_MALFORMED"
  /** One of webhook-id, webhook-timestamp and webhook-signature is absent. */
  | "HEADER_MISSING"
  /** webhook-id is not 1 to 128 characters of A-Z, a-z, 0-9, underscore and hyphen. */
  | "ID_MALFORMED"
  /** webhook-timestamp is not 1 to 12 digits. */
  | "TIMESTAMP_MALFORMED"
  /** Sent longer ago than the tolerance. */
  | "TIMESTAMP_TOO_OLD"
  /** Sent later than now plus the tolerance. */
  | "TIMESTAMP_TOO_NEW"
  /** webhook-signature holds no v1 signature, more than 16 signatures, or more than 4,096 characters. */
  | "SIGNATURE_MALFORMED"
  /** No signature is by any of the secrets over this id, timestamp and body. */
  | "SIGNATURE_MISMATCH";

/** A webhook that is not genuine, or cannot be told to be. Answer it with 400 and do nothing else. */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";
  /** Why, for programs. */
  readonly reason: WebhookVerificationReason;

  constructor(reason: WebhookVerificationReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
