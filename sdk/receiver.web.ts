// Everything of receiver.ts, but a createReceiver that works without node:crypto.

export { createReceiver } from "./receiver/create-receiver.web.ts";
export { RefuseTriggerError, TryAgainError } from "./receiver/receiver-error.ts";
export type * from "./receiver.ts";
export { WebhookVerificationError } from "./webhook-error.ts";
