import type { TriggerEventInit } from "../job/chain.ts";
import type { HandOver } from "./hand-over.ts";

/**
 * Hands events over, all or none. Throws what `HandOver.send` throws, and an error that names the problem when a dispatcher
 * refuses one of the events.
 */
export async function sendAll(
  handOver: Pick<HandOver, "send">,
  events: readonly TriggerEventInit[],
): Promise<void> {
  const [refused] = await handOver.send(events);
  if (refused === undefined) return;
  throw new Error(`A dispatcher cannot record the trigger ${refused.triggerId}: ${refused.problem}`);
}
