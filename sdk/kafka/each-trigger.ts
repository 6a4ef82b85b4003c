import {
  checkSecrets,
  type ReadTriggerOptions,
  type ReceivedTrigger,
  TriggerMessageError,
} from "../consumers/trigger-message.ts";
import { type TriggerContext, type WorkOptions, work } from "../consumers/work.ts";
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
export interface EachTriggerOptions<Client = undefined> extends ReadTriggerOptions, WorkOptions<Client> {
  /** The project's signing secrets, whsec_…. */
  readonly secrets: string | readonly string[] | undefined;
  /**
   * Does the work of a trigger. When it has returned, kafkajs may commit the offset. When it throws, kafkajs gives the
   * message to a consumer again, and the partition waits.
   */
  readonly onTrigger: (trigger: TriggerFired, context: TriggerContext<Client> & KafkaPlace) => unknown;
  /** The consumer's groupId. It must be given with a `store`, because each group does each trigger. */
  readonly groupId?: string;
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
 * Throws a WebhookVerificationError for a secret that is none, and a RangeError for a store without a groupId.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const eachMessage = eachTrigger({ secrets: secret, onTrigger: (trigger) => console.log(trigger.job.name) });
 * // As kafkajs calls it: consumer.run({ eachMessage }).
 * const { headers, body } = signTrigger({ secret, job: "payroll" });
 * const message = { value: body, headers, offset: "0" };
 * await eachMessage({ topic: "orders", partition: 0, message, heartbeat: async () => {} });
 * ```
 */
export function eachTrigger<Client = undefined>(
  options: EachTriggerOptions<Client>,
): (delivery: KafkaDelivery) => Promise<void> {
  const { onTrigger, groupId, store, heartbeatMs = 3_000 } = options;
  checkSecrets(options.secrets);
  if (store !== undefined && groupId === undefined) {
    throw new RangeError("There is a store and no groupId; give the groupId of the consumer.");
  }
  return async ({ topic, partition, message, heartbeat }) => {
    const place = { topic, partition, offset: message.offset };
    const received = readGenuine(message, options, place);
    if (received === undefined) return;
    const act = (context: TriggerContext<Client>) => onTrigger(received.trigger, { ...context, ...place });
    // A handler that takes longer than the session would lose its partition, and then the message has two handlers. A
    // heartbeat that fails fails for kafkajs too, which begins anew.
    const beats = setInterval(() => heartbeat().catch(() => {}), heartbeatMs);
    try {
      await workUntilDone(received.id, () => work(received, options, groupId, act));
    } finally {
      clearInterval(beats);
    }
  };
}

const MAX_TRIES_IN_PROGRESS = 60;
const MAX_PAUSE_MS = 1_000;

// After a rebalance, the consumer before may still work on the message.
async function workUntilDone(id: string, tryOnce: () => Promise<number | undefined>): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES_IN_PROGRESS; tries++) {
    const retryAfterMs = await tryOnce();
    if (retryAfterMs === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_PAUSE_MS, retryAfterMs)));
  }
  throw new Error(`Another consumer has worked on ${id} for a minute; Kafka gives it to a consumer again.`);
}

function readGenuine<Client>(
  message: KafkaMessage,
  { secrets, refused = "throw", onSkipped = logSkipped, ...options }: EachTriggerOptions<Client>,
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
