import type {
  KafkaTargetSchema,
  RedisTargetSchema,
  WebhookTargetSchema,
} from "./gen/easycron/v1/target_pb.ts";
import type { InputOf } from "./plain-types.ts";
import type { TargetInput } from "./resources.ts";

/**
 * Makes a target that is a signed HTTP request: `webhook("https://example.com/hooks", { headers: { "x-a": "b" } })`.
 *
 * @example
 * ```ts
 * const target = webhook("https://example.com/hooks", { headers: { "x-team": "billing" } });
 * ```
 */
export function webhook(
  url: string,
  options: Omit<InputOf<typeof WebhookTargetSchema>, "url"> = {},
): TargetInput {
  return { webhook: { ...options, url } };
}

/**
 * Makes a target that is a stream in the project's managed Redis: `redisStream("orders")`.
 *
 * @example
 * ```ts
 * const target = redisStream("orders");
 * ```
 */
export function redisStream(
  stream: string,
  options: Omit<InputOf<typeof RedisTargetSchema>, "stream"> = {},
): TargetInput {
  return { redis: { ...options, stream } };
}

/**
 * Makes a target that is a topic in the project's managed Kafka: `kafkaTopic("orders")`.
 *
 * @example
 * ```ts
 * const target = kafkaTopic("orders");
 * ```
 */
export function kafkaTopic(
  topic: string,
  options: Omit<InputOf<typeof KafkaTargetSchema>, "topic"> = {},
): TargetInput {
  return { kafka: { ...options, topic } };
}
