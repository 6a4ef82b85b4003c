export type { OnceContext } from "./idempotency/once.ts";
export type {
  ClaimAnswer,
  ClaimRequest,
  IdempotencyStore,
  TransactionalStore,
} from "./idempotency/store.ts";
export type { ReceiverAnswer } from "./receiver/answer.ts";
export {
  createReceiver,
  type IncomingWebhook,
  type Receiver,
  type ReceiverOptions,
  type TriggerContext,
} from "./receiver/create-receiver.ts";
export {
  RefuseTriggerError,
  type RefuseTriggerOptions,
  TryAgainError,
  type TryAgainOptions,
} from "./receiver/receiver-error.ts";
export type { TriggerFired } from "./trigger-fired.ts";
export { type VerifiedWebhook, WebhookVerificationError } from "./webhook.ts";
