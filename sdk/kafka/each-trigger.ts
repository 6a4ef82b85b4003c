import {
  checkSecrets,
  type ReadTriggerOptions,
  type ReceivedTrigger,
  TriggerMessageError,
} from "../consumers/trigger-message.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { type KafkaMessage, readTrigger } from "./read-trigger.ts";

/** What kafkajs gives to `eachMessage`. */
export interface KafkaDelivery {
  readonly topic: string;
  readonly partition: number;
  readonly message: KafkaMessage & { readonly offset: string };
  heartbeat(): Promise<void>;
}

/** Where a message is. */
export interface KafkaPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** Options of `eachTrigger`. */
export interface EachTriggerOptions extends ReadTriggerOptions {
  /** The project's signing secrets, whsec_…. */
  readonly secrets: string | readonly string[] | undefined;
  /**
   * Does the work of a trigger. When it has returned, kafkajs may commit the offset. When it throws, kafkajs gives the
   * message to a consumer again, and the partition waits.
   */
  readonly onTrigger: (trigger: TriggerFired, received: ReceivedTrigger & KafkaPlace) => unknown;
  /**
   * What becomes of a message whose signature is wrong, or that EasyCron did not write: "throw" the error, so that the
   * partition waits until a consumer has the right secret, or "skip" it. Default "throw".
   */
  readonly refused?: "throw" | "skip";
  /** Is called for each message that is skipped. Default: console.error. */
  readonly onSkipped?: (error: unknown, place: KafkaPlace) => void;
  /** How often kafkajs is told, while a handler runs, that this consumer lives: default 3,000 ms. */
  readonly heartbeatMs?: number;
}

/**
 * Makes the `eachMessage` of a kafkajs consumer: `consumer.run({ eachMessage: eachTrigger({ secrets, onTrigger }) })`.
 * Throws a WebhookVerificationError for a secret that is none.
 */
export function eachTrigger(options: EachTriggerOptions): (delivery: KafkaDelivery) => Promise<void> {
  const { onTrigger, heartbeatMs = 3_000 } = options;
  checkSecrets(options.secrets);
  return async ({ topic, partition, message, heartbeat }) => {
    const place = { topic, partition, offset: message.offset };
    const received = readGenuine(message, options, place);
    if (received === undefined) return;
    // A handler that takes longer than the session would lose its partition, and then the message has two handlers. A
    // heartbeat that fails fails for kafkajs too, which begins anew.
    const beats = setInterval(() => heartbeat().catch(() => {}), heartbeatMs);
    try {
      await onTrigger(received.trigger, { ...received, ...place });
    } finally {
      clearInterval(beats);
    }
  };
}

function readGenuine(
  message: KafkaMessage,
  { secrets, refused = "throw", onSkipped = logSkipped, ...options }: EachTriggerOptions,
  place: KafkaPlace,
): ReceivedTrigger | undefined {
  try {
    return readTrigger(message, secrets, options);
  } catch (error) {
    const isRefusal = error instanceof WebhookVerificationError || error instanceof TriggerMessageError;
    if (!isRefusal || refused === "throw") throw error;
    onSkipped(error, place);
    return undefined;
  }
}

function logSkipped(error: unknown, { topic, partition, offset }: KafkaPlace): void {
  console.error(`The message at offset ${offset} of partition ${partition} of ${topic} is skipped:`, error);
}
