// Everything of receiver.ts, but a createReceiver that works without node:crypto.

export { acknowledgement } from "./receiver/acknowledgement.ts";
export { AcknowledgementError } from "./receiver/acknowledgement-error.ts";
export { createReceiver } from "./receiver/create-receiver.web.ts";
export { RefuseTriggerError, TryAgainError } from "./receiver/receiver-error.ts";
export type * from "./receiver.ts";
export { WebhookVerificationError } from "./webhook-error.ts";
