import type { Prepared } from "./prepare.ts";
import type { Script } from "./scripts.ts";

/** One call of a script. */
export interface Call {
  readonly script: Script;
  readonly keys: string[];
  readonly args: string[];
  /** The messages that it writes, in their order. */
  readonly messages: Prepared[];
}

/** Most messages of one call. Redis does nothing else meanwhile: about 1 ms. */
const MAX_MESSAGES = 50;
/** A call gets no further message when it has so many characters. The server holds a whole call in memory. */
const MAX_LENGTH = 262_144;

/** Puts messages with the same script, keys and arguments into calls. Those of one destination keep their order. */
export function toCalls(messages: readonly Prepared[]): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, { readonly call: Call; length: number }>();
  for (const message of messages) {
    const { script, keys, args, guard, own } = message;
    const place = [script.sha, ...keys, ...args].join(" ");
    let last = open.get(place);
    if (last === undefined || last.call.messages.length === MAX_MESSAGES || last.length >= MAX_LENGTH) {
      last = { call: { script, keys: [...keys], args: [...args], messages: [] }, length: 0 };
      open.set(place, last);
      calls.push(last.call);
    }
    last.call.keys.push(guard);
    last.call.args.push(...own);
    last.call.messages.push(message);
    for (const text of own) last.length += text.length;
  }
  return calls;
}
