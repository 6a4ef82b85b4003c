/** The seed of this run: from the environment variable if set, else from the clock. Printed, so a run can be repeated. */
export function seedOf(variable: string): number {
  const given = process.env[variable];
  const seed = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  console.log(`${variable}=${seed}`);
  return seed;
}

/** Random numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
