import { lowestBit } from "./bits.ts";

/** A set of numbers from 0 up, 32 to a word: `n` is in it if bit `n % 32` of word `n / 32` is set. */
export type BitArray = Int32Array;

/** Makes an empty set that has room for the numbers below `size`. */
export function createBits(size: number): BitArray {
  return new Int32Array(Math.ceil(size / 32));
}

/** Adds the numbers from `first` to before `end`; those it has no room for are passed over. */
export function addBits(bits: BitArray, first: number, end: number): void {
  const most = Math.min(end, bits.length * 32);
  for (let n = Math.max(0, first); n < most; ) {
    const stop = Math.min(most, (n | 31) + 1);
    const index = n >> 5;
    bits[index] = (bits[index] ?? 0) | ((-1 >>> (32 - (stop - n))) << (n & 31));
    n = stop;
  }
}

/** Tells whether a number is in the set. */
export function hasBit(bits: BitArray, n: number): boolean {
  return (((bits[n >> 5] ?? 0) >>> (n & 31)) & 1) === 1;
}

/** Returns the smallest number of the set that is at least `n` (0 or more), or -1. */
export function nextBit(bits: BitArray, n: number): number {
  return scan(bits, n, 0);
}

/** Returns the smallest number that is at least `n` (0 or more), not in the set, and has room there; or -1. */
export function nextGap(bits: BitArray, n: number): number {
  return scan(bits, n, -1);
}

/**
 * Takes out of a set every `n` for which `(n + by) % (32 * length)` is not in another one of the same length; `by` is
 * less than that and not negative. Tells whether anything is left.
 */
export function keepRotated(bits: BitArray, others: BitArray, by: number): boolean {
  const { length } = others;
  const shift = by & 31;
  let from = by >> 5;
  let low = others[from] ?? 0;
  let any = 0;
  for (let index = 0; index < length; index += 1) {
    from = from + 1 === length ? 0 : from + 1;
    const high = others[from] ?? 0;
    // Shifting by 32 is shifting by none.
    const word = shift === 0 ? low : (low >>> shift) | (high << (32 - shift));
    const rest = (bits[index] ?? 0) & word;
    bits[index] = rest;
    any |= rest;
    low = high;
  }
  return any !== 0;
}

/** The smallest `n` or more whose bit is set once the words have been changed by exclusive or with `flip`. */
function scan(bits: BitArray, n: number, flip: number): number {
  let index = n >> 5;
  if (index >= bits.length) return -1;
  let word = ((bits[index] ?? 0) ^ flip) & (-1 << (n & 31));
  while (word === 0) {
    index += 1;
    if (index >= bits.length) return -1;
    word = (bits[index] ?? 0) ^ flip;
  }
  return index * 32 + lowestBit(word);
}
