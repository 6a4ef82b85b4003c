export {
  type ReadTriggerOptions,
  type ReceivedTrigger,
  TriggerMessageError,
  type TriggerMessageReason,
} from "./consumers/trigger-message.ts";
export type { TriggerContext, WorkOptions } from "./consumers/work.ts";
export {
  type EachTriggerOptions,
  eachTrigger,
  type KafkaDelivery,
  type KafkaPlace,
} from "./kafka/each-trigger.ts";
export { type KafkaHeaders, type KafkaMessage, readTrigger } from "./kafka/read-trigger.ts";
export type { TriggerFired } from "./trigger-fired.ts";
export { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";
