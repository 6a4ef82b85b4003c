import kafkajs from "kafkajs";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";

const { NOT_SENT, UNKNOWN, REJECTED } = AttemptOutcome;

/** What a failed send means for its records. */
export interface SendFailure {
  readonly outcome: AttemptOutcome;
  /** For the customer. */
  readonly error: string;
  /** Whether another attempt would fail in the same way. */
  readonly isFinal: boolean;
  /** The name of Kafka's refusal, such as MESSAGE_TOO_LARGE; undefined if Kafka did not answer. */
  readonly refusal: string | undefined;
}

/** Refusals after which nothing of the request's partition is stored, and another attempt cannot succeed. */
const FINAL: Readonly<Record<string, string>> = {
  MESSAGE_TOO_LARGE: "The message is larger than the broker accepts; make the payload smaller.",
  RECORD_LIST_TOO_LARGE: "The message is larger than a segment of the topic; make the payload smaller.",
  INVALID_RECORD: "The topic does not accept the message.",
  UNSUPPORTED_FOR_MESSAGE_FORMAT: "The topic does not accept the message's format.",
  INVALID_TOPIC_EXCEPTION: "The broker does not accept the topic's name; use another topic.",
};

/** Refusals after which nothing of the request's partition is stored, and another attempt may succeed. */
const RETRYABLE: Readonly<Record<string, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: "The topic does not exist.",
  LEADER_NOT_AVAILABLE: "The topic's partition has no leader now.",
  NOT_LEADER_FOR_PARTITION: "The leader of the topic's partition has just changed.",
  NOT_ENOUGH_REPLICAS: "Too few copies of the topic's partition are in sync.",
  TOPIC_AUTHORIZATION_FAILED: "EasyCron may not write to the topic; its operator must repair this.",
  CLUSTER_AUTHORIZATION_FAILED: "EasyCron may not write; its operator must repair this.",
  INVALID_TIMESTAMP: "The clocks of EasyCron and the broker differ too much; the operator must repair this.",
  POLICY_VIOLATION: "A policy of the broker forbids the message.",
  CORRUPT_MESSAGE: "The message was damaged on its way.",
};

const NO_ANSWER = "Kafka did not answer; the message may have been written.";
const NOT_REACHED = "Kafka could not be reached; nothing was sent.";
const NO_LOGIN = "Kafka does not let EasyCron log in; its operator must repair this.";

/**
 * Classifies an error of kafkajs by its class and by the name of Kafka's refusal. `wasWritten` says whether the records
 * were handed to a connection.
 */
export function classify(error: unknown, wasWritten: boolean): SendFailure {
  const refusal = refusalOf(error);
  if (!wasWritten) {
    const hasLogin = !isLoginFailure(error);
    return { outcome: NOT_SENT, error: hasLogin ? NOT_REACHED : NO_LOGIN, isFinal: false, refusal };
  }
  const final = refusal === undefined ? undefined : FINAL[refusal];
  if (final !== undefined) return { outcome: REJECTED, error: final, isFinal: true, refusal };
  const retryable = refusal === undefined ? undefined : RETRYABLE[refusal];
  if (retryable !== undefined) return { outcome: REJECTED, error: retryable, isFinal: false, refusal };
  // Kafka answers so when it may have stored the records, as with REQUEST_TIMED_OUT, or it did not answer at all.
  return { outcome: UNKNOWN, error: NO_ANSWER, isFinal: false, refusal };
}

/** What it means for records that their time ran out. */
export function timedOut(wasWritten: boolean): SendFailure {
  const outcome = wasWritten ? UNKNOWN : NOT_SENT;
  const error = wasWritten ? NO_ANSWER : "Kafka did not answer in time; the message was not sent.";
  return { outcome, error, isFinal: false, refusal: undefined };
}

function refusalOf(error: unknown): string | undefined {
  return find(error, (each) => (each instanceof kafkajs.KafkaJSProtocolError ? each.type : undefined));
}

function isLoginFailure(error: unknown): boolean {
  const isFailure = (each: Error) => each instanceof kafkajs.KafkaJSSASLAuthenticationError || undefined;
  return find(error, isFailure) ?? false;
}

/** Looks through an error and its causes. kafkajs wraps errors when no retries are left. */
function find<T>(error: unknown, look: (error: Error) => T | undefined): T | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const value = look(current);
    if (value !== undefined) return value;
    current = current.cause;
  }
  return undefined;
}
