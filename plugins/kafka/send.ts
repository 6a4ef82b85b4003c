import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { orAbort } from "../../mesh/or-abort.ts";
import { pause } from "../../mesh/pause.ts";
import { classify, type SendFailure, timedOut } from "./errors.ts";
import type { MissingTopics } from "./missing-topics.ts";
import { PartitionMissingError } from "./partitioner.ts";
import type { Place, Producer } from "./producer.ts";
import type { ProducerLane } from "./producers.ts";
import type { KafkaRecord } from "./record.ts";

/** What became of a record. */
export type Sent = { readonly place: Place } | { readonly failure: SendFailure };

/** What sending needs. */
export interface Sending {
  readonly projectId: string;
  readonly lane: ProducerLane;
  readonly topics: MissingTopics;
  readonly signal: AbortSignal;
  /** Called with what became of each record, once for each. */
  readonly report: (record: KafkaRecord, sent: Sent) => void;
  /** Called with the error of each send that failed. */
  readonly onError: (error: unknown) => void;
}

/**
 * How often a send is repeated of which nothing was stored: after its topic was made, until all brokers know it. With the
 * pauses, that is 3 s at most.
 */
const MAX_REPEATS = 10;
const MIN_PAUSE_MS = 25;
const MAX_PAUSE_MS = 400;

/**
 * Sends records in one request, and reports what became of each. Returns at the latest when the signal is aborted.
 *
 * kafkajs says that Kafka refused something, and not what. So a request that was refused is taken apart: by topic if
 * nothing was handed to a connection, by partition otherwise, because Kafka stores the records of a partition together or
 * not at all. A record of a partition that was stored the first time is then there twice. By record, if the refusal may
 * be the fault of one.
 */
export async function sendRecords(
  sending: Sending,
  records: readonly KafkaRecord[],
  repeats = 0,
): Promise<void> {
  const { lane, signal } = sending;
  if (records.length === 0) return;
  if (signal.aborted) return reportAll(sending, records, timedOut(false));
  const producer = lane.open();
  try {
    const places = await orAbort(producer.send(records), signal);
    reportPlaces(sending, records, places);
  } catch (error) {
    const wasWritten = producer.hasWritten();
    const parts = partsOf(producer, records, wasWritten);
    if (error instanceof PartitionMissingError) return withoutPartition(sending, records, error, repeats);
    lane.discard();
    if (signal.aborted) return reportAll(sending, records, timedOut(wasWritten));
    sending.onError(error);
    const failure = classify(error, wasWritten);
    // If several parts were written, all but one may be stored.
    const mayBeStored = wasWritten && parts.length > 1;
    if (isTopicUnready(failure) && !mayBeStored && repeats < MAX_REPEATS) {
      return afterMaking(sending, records, repeats);
    }
    if (failure.refusal === undefined) return reportAll(sending, records, failure);
    if (parts.length > 1) return apart(sending, parts, repeats);
    if (failure.isFinal && records.length > 1) {
      return apart(
        sending,
        records.map((record) => [record]),
        repeats,
      );
    }
    reportAll(sending, records, failure);
  }
}

function reportAll(sending: Sending, records: readonly KafkaRecord[], failure: SendFailure): void {
  for (const record of records) sending.report(record, { failure });
}

function reportPlaces(
  sending: Sending,
  records: readonly KafkaRecord[],
  places: readonly (Place | undefined)[],
): void {
  for (const [index, record] of records.entries()) {
    const place = places[index];
    sending.report(record, place === undefined ? { failure: LEFT_OUT } : { place });
  }
  // Its metadata is behind, so it would leave out the next record, too.
  if (places.includes(undefined)) sending.lane.discard();
}

const LEFT_OUT: SendFailure = {
  outcome: AttemptOutcome.NOT_SENT,
  error: "The partitions of the topic have just changed; nothing was sent.",
  isFinal: false,
  refusal: undefined,
};

function partsOf(producer: Producer, records: readonly KafkaRecord[], wasWritten: boolean): KafkaRecord[][] {
  const parts = Map.groupBy(records, (record) =>
    wasWritten ? `${record.topic}/${producer.partitionOf(record)}` : record.topic,
  );
  return [...parts.values()];
}

async function apart(sending: Sending, parts: readonly KafkaRecord[][], repeats: number): Promise<void> {
  for (const part of parts) await sendRecords(sending, part, repeats);
}

/** Reports the records whose partition does not exist, and sends the others. */
async function withoutPartition(
  sending: Sending,
  records: readonly KafkaRecord[],
  { topic, partitions }: PartitionMissingError,
  repeats: number,
): Promise<void> {
  const isWrong = (record: KafkaRecord) =>
    record.topic === topic && typeof record.choice === "number" && record.choice >= partitions;
  for (const record of records.filter(isWrong)) {
    const error = `The topic has ${partitions} partitions, numbered from 0; there is no partition ${record.choice}.`;
    const failure = { outcome: AttemptOutcome.REJECTED, error, isFinal: false, refusal: undefined };
    sending.report(record, { failure });
  }
  const others = records.filter((record) => !isWrong(record));
  await sendRecords(sending, others, repeats);
}

/** Whether the topic is not there, was deleted a moment ago, or was made a moment ago: a broker needs time to lead it. */
function isTopicUnready({ refusal }: SendFailure): boolean {
  return refusal !== undefined && UNREADY.has(refusal);
}

const UNREADY = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"]);

/** Makes the topics that do not exist, and sends the records whose topics there are. */
async function afterMaking(
  sending: Sending,
  records: readonly KafkaRecord[],
  repeats: number,
): Promise<void> {
  const { projectId, topics, signal } = sending;
  const names = [...new Set(records.map(({ topic }) => topic))];
  let refused: ReadonlyMap<string, string>;
  try {
    refused = await topics.ensure(projectId, names, signal);
  } catch (error) {
    sending.onError(error);
    return reportAll(sending, records, signal.aborted ? timedOut(false) : classify(error, false));
  }
  for (const record of records) {
    const error = refused.get(record.topic);
    if (error === undefined) continue;
    const failure = { outcome: AttemptOutcome.REJECTED, error, isFinal: false, refusal: undefined };
    sending.report(record, { failure });
  }
  // A broker knows a new topic a moment after it was made.
  if (repeats > 0) await pause(Math.min(MIN_PAUSE_MS * 2 ** repeats, MAX_PAUSE_MS));
  const others = records.filter(({ topic }) => !refused.has(topic));
  await sendRecords(sending, others, repeats + 1);
}
