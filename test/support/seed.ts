import { randomInt } from "node:crypto";

/** Returns the seed of a random test, from an environment variable or new, and prints it so that a failure can be repeated. */
export function seedOf(variable: string): number {
  const given = process.env[variable];
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
  if (!Number.isSafeInteger(seed))
    throw new Error(`${variable} is ${JSON.stringify(given)}; it must be an integer.`);
  console.log(`${variable}=${seed}`);
  return seed;
}

/** Returns a generator of numbers in [0, 1). The same seed gives the same numbers (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
