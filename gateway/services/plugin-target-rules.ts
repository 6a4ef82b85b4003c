import { KafkaPartitioning, type KafkaTarget, type RedisTarget } from "../../gen/easycron/v1/target_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";

/** Keys under this prefix are the customer's own. */
const OWN_PREFIX = "app:";
const PLACEHOLDERS = ["job.name", "job.uid", "trigger.id", "fire_time"];
const ACCEPTED = PLACEHOLDERS.map((name) => `{{${name}}}`).join(" ");
const RESERVED_PREFIXES = ["ce_", "webhook-"];
const RESERVED = "content-type";

/**
 * Checks what the proto's rules of a Redis target cannot say: a name outside the customer's own keys, and options that fit
 * the destination. Returns FIELD_INVALID for each thing that is wrong. `at` is the path of the target.
 */
export function redisTargetErrors({ destination, maxLength, ttl }: RedisTarget, at: string): EasyCronError[] {
  const errors: EasyCronError[] = [];
  const wrong = (field: string, problem: string) =>
    errors.push(fieldFailure("FIELD_INVALID", `${at}.${field}`, problem));
  const { case: place = "stream", value: name = "" } = destination;
  if (name.startsWith(OWN_PREFIX))
    wrong(place, `"${name}" begins with app:, which is for your own keys; use another name.`);
  if (maxLength !== 0n && place !== "stream" && place !== "list")
    wrong("maxLength", `A ${place} has no length; leave it out, or use a stream or a list.`);
  if (ttl !== undefined && place !== "key")
    wrong("ttl", `A ${place} does not expire; leave it out, or use a key.`);
  return errors;
}

/**
 * Checks what the proto's rules of a Kafka target cannot say: the placeholders of the key, headers that EasyCron sets itself,
 * and that a partition is given exactly with KAFKA_PARTITIONING_FIXED. Returns FIELD_INVALID or HEADER_RESERVED for each
 * thing that is wrong. `at` is the path of the target.
 */
export function kafkaTargetErrors(target: KafkaTarget, at: string): EasyCronError[] {
  const { key, headers, partitioning, partition } = target;
  const errors: EasyCronError[] = [];
  const wrong = (field: string, problem: string) =>
    errors.push(fieldFailure("FIELD_INVALID", `${at}.${field}`, problem));
  const unknown = [...key.matchAll(/\{\{(.*?)\}\}/gs)].find(([, name = ""]) => !PLACEHOLDERS.includes(name));
  if (unknown !== undefined) wrong("key", `"${unknown[0]}" is not known; accepted: ${ACCEPTED}.`);
  for (const header of Object.keys(headers)) {
    if (!isReserved(header)) continue;
    const field = `${at}.headers[${JSON.stringify(header)}]`;
    errors.push(
      fieldFailure("HEADER_RESERVED", field, "EasyCron sets this header itself; leave it out.", { header }),
    );
  }
  const isFixed = partitioning === KafkaPartitioning.FIXED;
  if (isFixed && partition === undefined)
    wrong("partition", "It is required with KAFKA_PARTITIONING_FIXED; accepted: 0 to 9999.");
  if (!isFixed && partition !== undefined)
    wrong("partition", "It is allowed with KAFKA_PARTITIONING_FIXED only; leave it out.");
  return errors;
}

/** Ignores case, because consumers may. */
function isReserved(header: string): boolean {
  const lower = header.toLowerCase();
  return lower === RESERVED || RESERVED_PREFIXES.some((prefix) => lower.startsWith(prefix));
}
