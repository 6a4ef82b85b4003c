import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeliverRequest,
  DeliverySchema,
} from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import type { FailureLog } from "../failure-log.ts";
import { toChunks } from "./chunks.ts";
import { classify, timedOut } from "./errors.ts";
import type { MissingTopics } from "./missing-topics.ts";
import type { Producers } from "./producers.ts";
import { type KafkaRecord, toRecord } from "./record.ts";
import { type Sent, sendRecords } from "./send.ts";

type Delivery = MessageInitShape<typeof DeliverySchema>;

/** What delivering needs. */
export interface DeliverParts {
  readonly producers: Producers;
  readonly topics: MissingTopics;
  readonly onFailure: FailureLog;
}

/**
 * Writes a batch of one project, and returns the outcome of each message in their order, at the latest when the signal
 * is aborted. Messages of one topic are written in their order. Never throws for what Kafka does.
 */
export async function deliver(
  { producers, topics, onFailure }: DeliverParts,
  { projectId, messages }: DeliverRequest,
  signal: AbortSignal,
): Promise<Delivery[]> {
  const records = messages.map((message) => {
    const { target } = message;
    return target?.kind.case === "kafka" ? toRecord(projectId, message, target.kind.value) : undefined;
  });
  const sent = new Map<KafkaRecord, Sent>();
  const report = (record: KafkaRecord, what: Sent) => sent.set(record, what);
  const onError = (error: unknown) => onFailure(error, { projectId });
  try {
    await producers.use(projectId, signal, async (lane) => {
      const sending = { projectId, lane, topics, signal, report, onError };
      for (const chunk of toChunks(records.filter((record) => record !== undefined))) {
        await sendRecords(sending, chunk);
      }
    });
  } catch (error) {
    // Its turn did not come. What was sent is in `sent`.
    if (!signal.aborted) onFailure(error, { projectId });
  }
  const notSent = signal.aborted ? timedOut(false) : classify(undefined, false);
  return records.map((record, index) => {
    const triggerId = messages[index]?.triggerId ?? "";
    if (record === undefined) return { triggerId, ...NO_TARGET };
    return { triggerId, ...toDelivery(sent.get(record) ?? { failure: notSent }) };
  });
}

const NO_TARGET = {
  outcome: AttemptOutcome.REJECTED,
  error: "The message has no Kafka target.",
  isFinal: true,
};

function toDelivery(sent: Sent): Delivery {
  if ("failure" in sent) {
    const { outcome, error, isFinal } = sent.failure;
    return { outcome, error, isFinal };
  }
  const { partition, offset } = sent.place;
  return { outcome: AttemptOutcome.SUCCEEDED, position: `partition ${partition}, offset ${offset}` };
}
