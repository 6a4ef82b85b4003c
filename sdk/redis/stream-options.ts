import type { ReadTriggerOptions } from "../consumers/trigger-message.ts";
import type { TriggerContext, WorkOptions } from "../consumers/work.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import type { StreamClient } from "./client.ts";
import type { Consumer } from "./group.ts";

/** Options of `consumeStream`. */
export interface ConsumeStreamOptions<Client = undefined>
  extends ReadTriggerOptions,
    WorkOptions<Client>,
    Consumer {
  /** An ioredis client with the plugin's credentials and without a key prefix. It stays open. */
  readonly redis: StreamClient;
  /** The stream's whole key: the plugin's prefix and the name in the job's target. */
  readonly stream: string;
  /** The name of the consumer group. Each group gets each trigger, and shares it out among its consumers. */
  readonly group: string;
  /** The name of this consumer: different in each process, and the same after a restart. */
  readonly consumer: string;
  /** The project's signing secrets, whsec_…. */
  readonly secrets: string | readonly string[] | undefined;
  /**
   * Does the work of a trigger. When it has returned, the entry is acknowledged. When it throws, the error goes to
   * `onError`, and the entry is given to a consumer again after `claimAfterMs`.
   */
  readonly onTrigger: (
    trigger: TriggerFired,
    context: TriggerContext<Client> & { readonly entryId: string },
  ) => unknown;
  /** Is called with each error and the id of its entry, if it has one. Default: console.error. */
  readonly onError?: (error: unknown, entryId?: string) => void;
  /**
   * What becomes of an entry whose signature is wrong, or that EasyCron did not write: "leave" it unacknowledged, so
   * that it is read again with the right secret, or "acknowledge" it. Default "leave". `onError` is called in each case.
   */
  readonly refused?: "leave" | "acknowledge";
  /** Where a group that does not exist yet begins: at the oldest entry, or with those to come. Default "oldest". */
  readonly from?: "oldest" | "new";
  /** How many triggers are worked on at once: 1 to 1,000, default 10. */
  readonly concurrency?: number;
  /**
   * After how long an entry of a consumer that has died, or whose handler has failed, goes to a consumer again: 1,000 ms
   * upwards, default 60,000 ms. While a handler runs, its entry stays with it, however long that takes.
   */
  readonly claimAfterMs?: number;
  /** Ends the consumption. */
  readonly signal?: AbortSignal;
  /** How long handlers may still work after `signal` is aborted, in milliseconds. Default 30,000. */
  readonly stopWithinMs?: number;
}
