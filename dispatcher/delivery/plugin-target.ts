import { fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import {
  KafkaContentMode as ContentMode,
  type KafkaTarget,
  KafkaPartitioning as Partitioning,
  type RedisTarget,
  type Target,
  TargetSchema,
} from "../../gen/easycron/v1/target_pb.ts";

/** The plugins to which triggers are delivered. */
export type PluginName = "redis" | "kafka";

/** A place in a project's managed Redis or Kafka. */
export interface PluginTarget {
  readonly kind: "plugin";
  readonly plugin: PluginName;
  /** The target as the plugin-delivery service gets it, with a value for everything that has a default. */
  readonly target: Target;
  /** Its encoded size. */
  readonly bytes: number;
}

// Source of the defaults: easycron.v1.RedisTarget and easycron.v1.KafkaTarget.
const DEFAULT_MAX_LENGTH = 100_000n;
const DEFAULT_KEY = "{{job.uid}}";

/**
 * Reads a target of a plugin from its proto3 JSON form. Throws when it names no destination or cannot be read. It cannot
 * be read if it has a field that only a newer version knows: without it, the message would be another one.
 */
export function parsePluginTarget(plugin: PluginName, json: Readonly<Record<string, unknown>>): PluginTarget {
  // The values come from JSON.parse, so they are JSON.
  const target = fromJson(TargetSchema, { [plugin]: json as JsonObject });
  const { kind } = target;
  if (kind.case === "redis") fillInRedis(kind.value);
  if (kind.case === "kafka") fillInKafka(kind.value);
  return { kind: "plugin", plugin, target, bytes: toBinary(TargetSchema, target).length };
}

function fillInRedis(redis: RedisTarget): void {
  const { destination } = redis;
  if (destination.case === undefined || destination.value === "")
    throw new Error("target.redis must name a stream, list, channel or key; it names none of them");
  const isBounded = destination.case === "stream" || destination.case === "list";
  if (isBounded && redis.maxLength === 0n) redis.maxLength = DEFAULT_MAX_LENGTH;
}

function fillInKafka(kafka: KafkaTarget): void {
  if (kafka.topic === "") throw new Error("target.kafka.topic must be the name of a topic; it is empty");
  if (kafka.key === "") kafka.key = DEFAULT_KEY;
  if (kafka.partitioning === Partitioning.UNSPECIFIED) kafka.partitioning = Partitioning.BY_KEY;
  if (kafka.contentMode === ContentMode.UNSPECIFIED) kafka.contentMode = ContentMode.BINARY;
}
