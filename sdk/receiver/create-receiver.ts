import { verifyAsync } from "../webhook.ts";
import { makeReceiver } from "./make-receiver.ts";
import type { Receiver, ReceiverOptions } from "./receiver.ts";

/**
 * Creates a receiver of EasyCron's webhooks. It reads the body as it came, verifies the signature, runs `onTrigger`
 * once for each trigger if it has a store, and answers so that EasyCron tries again if, and only if, it should:
 *
 * - 2xx: `onTrigger` has returned, now or at an earlier attempt.
 * - 400: not genuine. 405, 408, 413: not a POST, too slow, too large.
 * - 409 with Retry-After: another attempt is in progress.
 * - 4xx with `webhook-delivery: abort-message`: a RefuseTriggerError. It is not tried again; everything else is.
 * - 503: a TryAgainError. 500: any other error, a missing secret, a body that was parsed before.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 *
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store: memoryStore(), // or redisStore(client), postgresStore(pool)
 *   onTrigger: (trigger) => console.log(`${trigger.job.name} was due at ${trigger.nominalTime}`),
 * });
 * const server = createServer(receiver.node); // server.listen(9000)
 * console.log(server.listening);
 * ```
 */
export function createReceiver<Client = undefined>(options: ReceiverOptions<Client>): Receiver {
  return makeReceiver(verifyAsync, options);
}
