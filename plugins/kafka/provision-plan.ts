import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ProvisionRequest } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { type TopicLimits, toTopicLimits } from "./limits.ts";
import { collisionOf, prefixOf, topicOf } from "./names.ts";
import { DEFAULT_PARTITIONS, type TopicPlan } from "./topics.ts";

/** What a request for a project's space asks for, checked. */
export interface ProvisionPlan {
  readonly limits: TopicLimits;
  readonly topics: readonly TopicPlan[];
  /** Full names. */
  readonly deletedTopics: readonly string[];
}

const MIN_ITERATIONS = 4_096;
// A broker computes as many hashes at each login.
const MAX_ITERATIONS = 16_384;

/**
 * Checks a request. Throws FIELD_INVALID with the value and the limit when a limit is missing, when a topic has too many
 * partitions or keeps messages for too long, or when a secret has another form than SCRAM-SHA-512's.
 */
export function toPlan(request: ProvisionRequest): ProvisionPlan {
  const { projectId, limits: given } = request;
  if (given === undefined) throw invalid("limits", "They are not set; each needs a value.");
  const limits = toTopicLimits(given);
  for (const [name, value] of Object.entries({ ...limits, ...toRates(request) })) {
    if (!(value > 0)) throw invalid("limits", `The limit ${name} is ${value}; it must be more than 0.`);
  }
  checkSecrets(request);
  const topics = request.topics.map(({ name, partitions, retention, compacted }, index): TopicPlan => {
    const field = `topics[${index}]`;
    checkName(name, `${field}.name`);
    if (partitions > limits.partitions) {
      throw invalid(`${field}.partitions`, `${partitions} is more than the limit, ${limits.partitions}.`);
    }
    const retentionMs = retention === undefined ? undefined : durationMs(retention);
    if (retentionMs !== undefined && (retentionMs < 1_000 || retentionMs > limits.retentionMs)) {
      const problem = `${retentionMs} ms must be 1,000 ms to the limit, ${limits.retentionMs} ms.`;
      throw invalid(`${field}.retention`, problem);
    }
    return {
      topic: topicOf(projectId, name),
      partitions: partitions === 0 ? Math.min(DEFAULT_PARTITIONS, limits.partitions) : partitions,
      retentionMs,
      isCompacted: compacted,
    };
  });
  for (const [index, name] of request.deletedTopics.entries()) checkName(name, `deleted_topics[${index}]`);
  return { limits, topics, deletedTopics: request.deletedTopics.map((name) => topicOf(projectId, name)) };
}

/** Returns how fast the users may write and read. */
export function toRates({ limits }: ProvisionRequest) {
  return {
    produceBytes: Number(limits?.produceBytesPerSecond ?? 0),
    consumeBytes: Number(limits?.consumeBytesPerSecond ?? 0),
  };
}

/**
 * Throws FIELD_INVALID if the topics that there are, with those that are asked for, are more than the limit, if the names of
 * two differ in dots and underscores only, or if a topic has more partitions than are asked for.
 */
export function checkAgainstExisting(
  plan: ProvisionPlan,
  projectId: string,
  existing: ReadonlyMap<string, number>,
): void {
  const all = new Set([...existing.keys(), ...plan.topics.map(({ topic }) => topic)]);
  const isNew = plan.topics.some(({ topic }) => !existing.has(topic));
  // A limit that was lowered takes no topic away.
  if (isNew && all.size > plan.limits.topics) {
    throw invalid("topics", `There would be ${all.size} topics; the limit is ${plan.limits.topics}.`);
  }
  for (const [index, { topic, partitions }] of plan.topics.entries()) {
    const other = existing.has(topic) ? undefined : collisionOf(topic, all);
    if (other !== undefined) {
      const name = other.slice(prefixOf(projectId).length);
      const problem = `For Kafka it is the same as the topic "${name}", because "." is like "_"; use another name.`;
      throw invalid(`topics[${index}].name`, problem);
    }
    const present = existing.get(topic) ?? 0;
    if (present <= partitions) continue;
    const problem = `${partitions} is less than the ${present} that the topic has; partitions cannot be taken away.`;
    throw invalid(`topics[${index}].partitions`, problem);
  }
}

function checkName(name: string, field: string): void {
  if (/^[a-zA-Z0-9._-]{1,200}$/.test(name)) return;
  throw invalid(field, `"${name}" must have 1 to 200 letters, digits, ".", "_" or "-".`);
}

function checkSecrets({ credentials }: ProvisionRequest): void {
  for (const [index, { scram }] of credentials.entries()) {
    if (scram === undefined) continue;
    const { salt, iterations, saltedPassword } = scram;
    const isValid =
      salt.length >= 16 &&
      salt.length <= 256 &&
      iterations >= MIN_ITERATIONS &&
      iterations <= MAX_ITERATIONS &&
      saltedPassword.length === 64;
    if (isValid) continue;
    const problem =
      `It has a salt of ${salt.length} bytes, ${iterations} iterations and a password of ${saltedPassword.length} ` +
      `bytes; it must have 16 to 256, ${MIN_ITERATIONS} to ${MAX_ITERATIONS} and 64.`;
    throw invalid(`credentials[${index}].scram`, problem);
  }
}

function invalid(field: string, problem: string) {
  return fieldFailure("FIELD_INVALID", field, problem);
}
