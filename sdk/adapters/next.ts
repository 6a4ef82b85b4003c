import type { Receiver } from "../receiver/create-receiver.ts";

/**
 * Makes a route handler for the app router of Next.js, 13.2 or newer. In `app/easycron/route.ts`:
 * `export const { POST } = toNext(receiver);`
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} });
 * export const { POST } = toNext(receiver);
 * ```
 */
export function toNext(receiver: Receiver): { readonly POST: (request: Request) => Promise<Response> } {
  return { POST: receiver.fetch };
}
