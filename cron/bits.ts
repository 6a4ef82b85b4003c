/*
 * Sets of small numbers as 32-bit integers: bit n is set if n is in the set. A set of sixty values (minutes, seconds)
 * takes two integers: 0 to 29 in `low`, 30 to 59 in `high`.
 */

/** Returns the smallest number of a set that is not empty. */
export function lowestBit(set: number): number {
  return 31 - Math.clz32(set & -set);
}

/** Returns the numbers of a set that are greater than `n` (0 to 31). */
export function bitsAbove(set: number, n: number): number {
  return set & (-2 << n);
}

/** Tells whether `n` (0 to 59) is in the set of sixty. */
export function hasOf60(low: number, high: number, n: number): boolean {
  return n < 30 ? ((low >>> n) & 1) === 1 : ((high >>> (n - 30)) & 1) === 1;
}

/** Returns the smallest number of the set of sixty that is at least `n` (0 to 60), or -1. */
export function nextOf60(low: number, high: number, n: number): number {
  if (n < 30) {
    const rest = low & (-1 << n);
    if (rest !== 0) return lowestBit(rest);
    return high === 0 ? -1 : 30 + lowestBit(high);
  }
  const rest = n === 60 ? 0 : high & (-1 << (n - 30));
  return rest === 0 ? -1 : 30 + lowestBit(rest);
}
