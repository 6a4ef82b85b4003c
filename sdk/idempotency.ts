export { type Clock, systemClock } from "./clock.ts";
export { type MemoryStoreOptions, memoryStore } from "./idempotency/memory-store.ts";
export { type OnceContext, type OnceOptions, type Outcome, once } from "./idempotency/once.ts";
export { HandlerTimeoutError, LostClaimError } from "./idempotency/once-error.ts";
export {
  type PostgresQueryable,
  type PostgresStoreOptions,
  postgresStore,
  postgresTable,
} from "./idempotency/postgres-store.ts";
export {
  type PostgresClient,
  type PostgresPool,
  postgresTransactions,
} from "./idempotency/postgres-transactions.ts";
export {
  type IoredisClient,
  type NodeRedisClient,
  type RedisStoreOptions,
  redisStore,
} from "./idempotency/redis-store.ts";
export type {
  ClaimAnswer,
  ClaimRequest,
  IdempotencyStore,
  TextStore,
  TransactionAnswer,
  TransactionalStore,
  TransactionClaim,
} from "./idempotency/store.ts";
