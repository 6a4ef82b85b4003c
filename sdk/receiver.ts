export type { OnceContext } from "./idempotency/once.ts";
export type {
  ClaimAnswer,
  ClaimRequest,
  IdempotencyStore,
  TransactionalStore,
} from "./idempotency/store.ts";
export {
  type Acknowledgement,
  type AcknowledgementAnswer,
  type AcknowledgementOptions,
  acknowledgement,
} from "./receiver/acknowledgement.ts";
export { AcknowledgementError } from "./receiver/acknowledgement-error.ts";
export type { ReceiverAnswer } from "./receiver/answer.ts";
export { createReceiver } from "./receiver/create-receiver.ts";
export type { NodeRequest, NodeResponse } from "./receiver/node-request.ts";
export type { IncomingWebhook, Receiver, ReceiverOptions, TriggerContext } from "./receiver/receiver.ts";
export {
  RefuseTriggerError,
  type RefuseTriggerOptions,
  TryAgainError,
  type TryAgainOptions,
} from "./receiver/receiver-error.ts";
export type { TriggerFired } from "./trigger-fired.ts";
export { WebhookVerificationError } from "./webhook-error.ts";
export type { VerifiedWebhook } from "./webhook-request.ts";
