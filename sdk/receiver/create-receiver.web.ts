import { verifyAsync } from "../webhook.web.ts";
import { makeReceiver } from "./make-receiver.ts";
import type { Receiver, ReceiverOptions } from "./receiver.ts";

/** Creates a receiver like that of create-receiver.ts, in a runtime without `node:crypto`. */
export function createReceiver<Client = undefined>(options: ReceiverOptions<Client>): Receiver {
  return makeReceiver(verifyAsync, options);
}
