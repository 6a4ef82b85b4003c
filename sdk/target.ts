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
 * const chat = webhook("https://example.com/chat", { body: '{"text":"{{job}}: {{payload}}"}' });
 * const closed = webhook("https://example.com/hooks", { auth: { bearer: { token: "s3cr3t" } } });
 * const oauth2 = { tokenUrl: "https://id.example.com/token", clientId: "easycron", clientSecret: "s3cr3t" };
 * const authorized = webhook("https://example.com/hooks", { auth: { oauth2 } });
 * const lenient = webhook("https://example.com/hooks", { successStatusCodes: ["200-299", "409"] });
 * ```
 */
export function webhook(
  url: string,
  options: Omit<InputOf<typeof WebhookTargetSchema>, "url"> = {},
): TargetInput {
  return { webhook: { ...options, url } };
}

type RedisInput = InputOf<typeof RedisTargetSchema>;

/**
 * Makes a target that is a stream in the project's managed Redis.
 *
 * @example
 * ```ts
 * const target = redisStream("orders", { maxLength: 10_000 });
 * ```
 */
export function redisStream(stream: string, options: Pick<RedisInput, "maxLength"> = {}): TargetInput {
  return { redis: { ...options, stream } };
}

/**
 * Makes a target that is a list in the project's managed Redis.
 *
 * @example
 * ```ts
 * const target = redisList("orders", { maxLength: 10_000 });
 * ```
 */
export function redisList(list: string, options: Pick<RedisInput, "maxLength"> = {}): TargetInput {
  return { redis: { ...options, list } };
}

/**
 * Makes a target that is a channel in the project's managed Redis.
 *
 * @example
 * ```ts
 * const target = redisChannel("orders");
 * ```
 */
export function redisChannel(channel: string): TargetInput {
  return { redis: { channel } };
}

/**
 * Makes a target that is a key in the project's managed Redis, which holds the latest message.
 *
 * @example
 * ```ts
 * const target = redisKey("latest", { ttl: "3600s" });
 * ```
 */
export function redisKey(key: string, options: Pick<RedisInput, "ttl"> = {}): TargetInput {
  return { redis: { ...options, key } };
}

/**
 * Makes a target that is a topic in the project's managed Kafka.
 *
 * @example
 * ```ts
 * const target = kafkaTopic("orders", { key: "{{job.name}}" });
 * ```
 */
export function kafkaTopic(
  topic: string,
  options: Omit<InputOf<typeof KafkaTargetSchema>, "topic"> = {},
): TargetInput {
  return { kafka: { ...options, topic } };
}
