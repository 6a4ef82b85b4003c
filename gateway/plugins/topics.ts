import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type PluginLimits, type PluginTopic, PluginTopicSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import type { FieldViolation } from "../../mesh/errors.ts";
import type { KindName } from "./kinds.ts";
import { toFieldError } from "./limits.ts";

const DEFAULT_PARTITIONS = 3;

/** What a call wants of the topics. */
export interface TopicChange {
  readonly topics: readonly PluginTopic[];
  readonly deleteTopics: readonly string[];
}

/**
 * Returns the topics that a plugin has after a change. Throws FIELD_INVALID, with a violation for each thing that is wrong:
 * topics of a plugin that is not Kafka, a name twice, more than the limits allow, partitions that would shrink.
 */
export function changeTopics(
  kind: KindName,
  before: readonly PluginTopic[],
  change: TopicChange,
  limits: PluginLimits,
): PluginTopic[] {
  const { topics, deleteTopics } = change;
  const violations: FieldViolation[] = [];
  const wrong = (field: string, description: string) => violations.push({ field, description });
  if (kind !== "KAFKA") {
    if (topics.length > 0) wrong("topics", "Only the kafka plugin has topics; leave them out.");
    if (deleteTopics.length > 0) wrong("deleteTopics", "Only the kafka plugin has topics; leave them out.");
  }
  const after = new Map(before.map((topic) => [topic.name, topic]));
  for (const name of deleteTopics) after.delete(name);
  const seen = new Set<string>();
  for (const [index, topic] of topics.entries()) {
    const at = `topics[${index}]`;
    if (seen.has(topic.name)) wrong(`${at}.name`, `"${topic.name}" is named twice; name it once.`);
    if (deleteTopics.includes(topic.name))
      wrong(`${at}.name`, `"${topic.name}" is in deleteTopics too; leave it out of one of them.`);
    seen.add(topic.name);
    const present = after.get(topic.name);
    const full = withDefaults(topic, present, limits);
    for (const { field, description } of topicProblems(full, present, limits))
      wrong(`${at}.${field}`, description);
    after.set(topic.name, full);
  }
  if (kind === "KAFKA" && after.size > limits.maxTopics)
    wrong(
      "topics",
      `The plugin would have ${after.size} topics; its limit maxTopics is ${limits.maxTopics}.`,
    );
  if (violations.length > 0) throw toFieldError(violations);
  return [...after.values()];
}

/** Returns topics as the database keeps them. */
export function toTopicsText(topics: readonly PluginTopic[]): string {
  return JSON.stringify(topics.map((topic) => toJson(PluginTopicSchema, topic)));
}

/** Reads topics that the database keeps. */
export function readTopics(json: readonly unknown[]): PluginTopic[] {
  return json.map((each) => fromJson(PluginTopicSchema, each as JsonValue, { ignoreUnknownFields: true }));
}

/** A topic that exists keeps its partitions when the call names no number. */
function withDefaults(
  topic: PluginTopic,
  before: PluginTopic | undefined,
  limits: PluginLimits,
): PluginTopic {
  const { name, compacted } = topic;
  const retention = topic.retention ?? limits.maxRetention;
  const partitions =
    topic.partitions || (before?.partitions ?? Math.min(DEFAULT_PARTITIONS, limits.maxPartitions));
  return create(PluginTopicSchema, {
    name,
    partitions,
    compacted,
    ...(retention === undefined ? {} : { retention }),
  });
}

function topicProblems(
  topic: PluginTopic,
  before: PluginTopic | undefined,
  limits: PluginLimits,
): FieldViolation[] {
  const problems: FieldViolation[] = [];
  const { partitions, retention } = topic;
  if (partitions > limits.maxPartitions) {
    const description = `It is ${partitions}; the limit maxPartitions is ${limits.maxPartitions}.`;
    problems.push({ field: "partitions", description });
  }
  if (before !== undefined && partitions < before.partitions) {
    const description = `It is ${partitions}, and the topic has ${before.partitions} already; partitions cannot shrink.`;
    problems.push({ field: "partitions", description });
  }
  const maxMs = limits.maxRetention === undefined ? 0 : durationMs(limits.maxRetention);
  if (retention !== undefined && maxMs > 0 && durationMs(retention) > maxMs) {
    const description = `It is ${durationMs(retention)} ms; the limit maxRetention is ${maxMs} ms.`;
    problems.push({ field: "retention", description });
  }
  return problems;
}
