import { type ReceivedTrigger, TriggerMessageError } from "../consumers/trigger-message.ts";
import { type TriggerContext, work } from "../consumers/work.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { acknowledge } from "./group.ts";
import { readTrigger, type StreamEntry } from "./read-trigger.ts";
import type { ConsumeStreamOptions } from "./stream-options.ts";

/**
 * Reads an entry, gives its trigger to the handler, and acknowledges it when the handler has succeeded. Reports what
 * fails, and never throws.
 */
export async function handleEntry<Client>(
  entry: StreamEntry,
  options: ConsumeStreamOptions<Client>,
  onError: (error: unknown, entryId: string) => void,
): Promise<void> {
  const { onTrigger } = options;
  const entryId = String(entry[0]);
  try {
    const received = readGenuine(entry, options, onError);
    if (received === undefined && options.refused !== "acknowledge") return;
    if (received !== undefined) {
      const act = (context: TriggerContext<Client>) => onTrigger(received.trigger, { ...context, entryId });
      // Another consumer works on it. If that one fails, the entry comes to a consumer again.
      if ((await work(received, options, options.group, act)) !== undefined) return;
    }
    await acknowledge(options.redis, options, entryId);
  } catch (error) {
    onError(error, entryId);
  }
}

function readGenuine<Client>(
  entry: StreamEntry,
  options: ConsumeStreamOptions<Client>,
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
