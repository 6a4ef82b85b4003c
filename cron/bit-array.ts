import { lowestBit } from "./bits.ts";

/** A set of numbers from 0 on, 32 in each word. It contains `n` if bit `n % 32` of word `n / 32` is set. */
export type BitArray = Int32Array;

/** Makes an empty set for the numbers from 0 to `size - 1`. */
export function createBits(size: number): BitArray {
  return new Int32Array(Math.ceil(size / 32));
}

/** Adds the numbers from `first` to `end - 1`. Numbers that do not fit into the set are ignored. */
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

/** Returns the smallest number in the set that is at least `n` (0 or more), or -1. */
export function nextBit(bits: BitArray, n: number): number {
  return scan(bits, n, 0);
}

/** Returns the smallest number that is at least `n` (0 or more), fits into the set and is not in it, or -1. */
export function nextGap(bits: BitArray, n: number): number {
  return scan(bits, n, -1);
}

/**
 * Intersects a set with another one that is rotated by `by`: removes every `n` for which `(n + by) % (32 * length)`
 * is not in `others`. Both sets have the same length; `by` is from 0 to `32 * length - 1`. Tells whether any number
 * is left.
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
    // A shift by 32 would do nothing in JavaScript, so a shift of 0 needs its own case.
    const word = shift === 0 ? low : (low >>> shift) | (high << (32 - shift));
    const rest = (bits[index] ?? 0) & word;
    bits[index] = rest;
    any |= rest;
    low = high;
  }
  return any !== 0;
}

/** The smallest number from `n` on whose bit is set (`flip` 0) or not set (`flip` -1), or -1. */
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
