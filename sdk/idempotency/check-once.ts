/** The longest time that a timer takes, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Checks the times of `once`. Throws a RangeError. */
export function checkBounds({
  leaseMs = 30_000,
  maxRunMs = 1,
}: {
  readonly leaseMs?: number | undefined;
  readonly maxRunMs?: number | undefined;
}): void {
  if (!(leaseMs >= 100 && leaseMs <= 86_400_000)) {
    throw new RangeError(`leaseMs is ${leaseMs}; it must be 100 to 86,400,000.`);
  }
  if (!(maxRunMs > 0 && maxRunMs <= MAX_TIMER_MS)) {
    throw new RangeError(`maxRunMs is ${maxRunMs}; it must be from 1 to 2,147,483,647.`);
  }
}

/** Checks that something is a store, because plain JavaScript has no types. Throws a TypeError. */
export function checkStore(store: unknown): void {
  const has = (name: string) => typeof (store as Record<string, unknown>)[name] === "function";
  if (typeof store === "object" && store !== null) {
    if (has("run") || (has("claim") && has("complete") && has("release"))) return;
  }
  throw new TypeError(
    "The store has no methods claim, complete and release; pass one of @easycron/sdk/idempotency, such as redisStore(client).",
  );
}
