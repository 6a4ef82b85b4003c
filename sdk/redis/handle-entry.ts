import { type ReceivedTrigger, TriggerMessageError } from "../consumers/trigger-message.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { acknowledge } from "./group.ts";
import { readTrigger, type StreamEntry } from "./read-trigger.ts";
import type { ConsumeStreamOptions } from "./stream-options.ts";

/**
 * Reads an entry, gives its trigger to the handler, and acknowledges it when the handler has succeeded. Reports what
 * fails, and never throws.
 */
export async function handleEntry(
  entry: StreamEntry,
  options: ConsumeStreamOptions,
  onError: (error: unknown, entryId: string) => void,
): Promise<void> {
  const entryId = String(entry[0]);
  try {
    const received = readGenuine(entry, options, onError);
    if (received !== undefined) await options.onTrigger(received.trigger, { ...received, entryId });
    else if (options.refused !== "acknowledge") return;
    await acknowledge(options.redis, options, entryId);
  } catch (error) {
    onError(error, entryId);
  }
}

function readGenuine(
  entry: StreamEntry,
  options: ConsumeStreamOptions,
  onError: (error: unknown, entryId: string) => void,
): ReceivedTrigger | undefined {
  try {
    return readTrigger(entry, options.secrets, options);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError || error instanceof TriggerMessageError)) throw error;
    onError(error, String(entry[0]));
    return undefined;
  }
}
