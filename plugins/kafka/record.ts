import type { Message } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { KafkaContentMode, KafkaPartitioning, type KafkaTarget } from "../../gen/easycron/v1/target_pb.ts";
import { topicOf } from "./names.ts";

/** How the partition of a record is chosen: a number is the partition itself. */
export type PartitionChoice = "by-key" | "round-robin" | number;

/** A message as Kafka gets it. */
export interface KafkaRecord {
  /** The full name. */
  readonly topic: string;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly choice: PartitionChoice;
  /** About how many bytes it takes. */
  readonly bytes: number;
}

// Offsets, lengths and checks of a record, and the lengths of its headers.
const RECORD_OVERHEAD = 64;
const HEADER_OVERHEAD = 4;

/**
 * Returns the record of a message: the document with CloudEvents' attributes and the webhook's signature beside it.
 * Source: CloudEvents 1.0, Kafka protocol binding, sections 3.2 and 3.3. It has no timestamp of its own, so Kafka gets
 * the present: with the fire time, the retention of the topic would remove what a backfill delivers late.
 */
export function toRecord(projectId: string, message: Message, target: KafkaTarget): KafkaRecord {
  const attributes = {
    specversion: "1.0",
    id: message.triggerId,
    source: `//easycron/${projectId}`,
    type: "easycron.trigger.fired",
    time: message.fireTime,
    subject: message.jobName,
  };
  const isStructured = target.contentMode === KafkaContentMode.STRUCTURED;
  const headers = {
    ...target.headers,
    ...(isStructured ? STRUCTURED : { ...toHeaders(attributes), "content-type": JSON_TYPE }),
    "webhook-id": message.triggerId,
    "webhook-timestamp": String(message.webhookTimestamp),
    "webhook-signature": message.webhookSignature,
  };
  const value = isStructured
    ? toEvent({ ...attributes, datacontenttype: JSON_TYPE }, message.body)
    : Buffer.from(message.body);
  const key = toKey(message, target.key);
  const headerBytes = Object.entries(headers).reduce(
    (sum, [name, text]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text) + HEADER_OVERHEAD,
    0,
  );
  const bytes = RECORD_OVERHEAD + value.length + Buffer.byteLength(key) + headerBytes;
  return { topic: topicOf(projectId, target.topic), key, value, headers, choice: toChoice(target), bytes };
}

const JSON_TYPE = "application/json";
const STRUCTURED = { "content-type": "application/cloudevents+json; charset=UTF-8" };

function toHeaders(attributes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, text]) => [`ce_${name}`, text]));
}

// The document goes in byte by byte, as the last member. Parsing it would change the digits of numbers, and the
// signature is over its bytes.
function toEvent(attributes: Record<string, string>, body: Uint8Array): Buffer {
  const start = JSON.stringify(attributes).slice(0, -1);
  return Buffer.concat([Buffer.from(`${start},"data":`), body, Buffer.from("}")]);
}

function toKey(message: Message, template: string): string {
  const values = new Map([
    ["job.name", message.jobName],
    ["job.uid", message.jobUid],
    ["trigger.id", message.triggerId],
    ["fire_time", message.fireTime],
  ]);
  if (template === "") return message.jobUid;
  return template.replace(/\{\{([^{}]*)\}\}/g, (text, name: string) => values.get(name) ?? text);
}

function toChoice({ partitioning, partition }: KafkaTarget): PartitionChoice {
  if (partitioning === KafkaPartitioning.FIXED) return partition ?? 0;
  return partitioning === KafkaPartitioning.ROUND_ROBIN ? "round-robin" : "by-key";
}
