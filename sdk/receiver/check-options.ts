import { checkBounds, checkStore } from "../idempotency/check-once.ts";
import { isWebUrl } from "./acknowledgement.ts";
import type { ReceiverOptions } from "./receiver.ts";

const OPTIONS: readonly string[] = [
  "secrets",
  "onTrigger",
  "store",
  "onOther",
  "onError",
  "maxBodyBytes",
  "bodyTimeoutMs",
  "toleranceSeconds",
  "leaseMs",
  "maxRunMs",
  "apiUrl",
  "clock",
] satisfies (keyof ReceiverOptions)[];

/**
 * Checks the options of a receiver, because plain JavaScript has no types. Throws a TypeError that names what is wrong,
 * and a RangeError for a number out of its bounds. The secret is checked with each request: a build may run without it.
 */
export function checkReceiverOptions<Client>(options: ReceiverOptions<Client>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("The options are missing; call createReceiver({ secrets, onTrigger }).");
  }
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(
      `${unknown} is not an option of createReceiver; its options are ${OPTIONS.join(", ")}.`,
    );
  }
  const { onTrigger, onOther, onError, store, apiUrl } = options;
  if (apiUrl !== undefined && !isWebUrl(apiUrl)) {
    throw new TypeError(
      `apiUrl is ${JSON.stringify(apiUrl)}; it must be a URL that begins with https:// or http://.`,
    );
  }
  if (typeof onTrigger !== "function") {
    throw new TypeError(`onTrigger is ${typeof onTrigger}; it must be a function that does the work.`);
  }
  for (const [name, value] of Object.entries({ onOther, onError })) {
    if (value !== undefined && typeof value !== "function") {
      throw new TypeError(`${name} is ${typeof value}; it must be a function.`);
    }
  }
  if (store !== undefined) checkStore(store);
  checkNumbers(options);
}

function checkNumbers<Client>(options: ReceiverOptions<Client>): void {
  const { maxBodyBytes = 1, bodyTimeoutMs = 1, toleranceSeconds = 0 } = options;
  if (!(Number.isInteger(maxBodyBytes) && maxBodyBytes >= 1)) {
    throw new RangeError(`maxBodyBytes is ${maxBodyBytes}; it must be a whole number from 1.`);
  }
  if (!(bodyTimeoutMs > 0 && bodyTimeoutMs < 2 ** 31)) {
    throw new RangeError(`bodyTimeoutMs is ${bodyTimeoutMs}; it must be from 1 to 2,147,483,647.`);
  }
  if (!(toleranceSeconds >= 0)) {
    throw new RangeError(`toleranceSeconds is ${toleranceSeconds}; it must be 0 or more.`);
  }
  checkBounds(options);
}
