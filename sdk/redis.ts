export {
  type ReadTriggerOptions,
  type ReceivedTrigger,
  TriggerMessageError,
  type TriggerMessageReason,
} from "./consumers/trigger-message.ts";
export type { TriggerContext, WorkOptions } from "./consumers/work.ts";
export type { StreamClient } from "./redis/client.ts";
export { consumeStream } from "./redis/consume-stream.ts";
export { type RedisMessage, type RedisValue, readTrigger, type StreamEntry } from "./redis/read-trigger.ts";
export {
  type RedisTransactions,
  type RedisTransactionsOptions,
  redisTransactions,
  type TransactionClient,
} from "./redis/redis-transactions.ts";
export type { ConsumeStreamOptions } from "./redis/stream-options.ts";
export type { TriggerFired } from "./trigger-fired.ts";
export { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";
