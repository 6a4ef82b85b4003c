/** One of several nodes among which keys are divided. */
export interface Node {
  /** The hash of its name, by `hashOf`. */
  readonly hash: number;
}

/**
 * Returns the node that a key belongs to; undefined if there is none. This is rendezvous hashing (D. Thaler and
 * C. Ravishankar, "Using name-based mappings to increase hit rates", 1998): each node has a weight for each key, and
 * the heaviest one has the key. So keys are divided evenly, every process that knows the same nodes makes the same
 * choice, and when a node comes or goes only the keys move that it gets or had.
 *
 * Of nodes with equal weights the first one is returned, so processes must agree on the order.
 */
export function chooseNode<T extends Node>(keyHash: number, nodes: readonly T[]): T | undefined {
  let chosen: T | undefined;
  let heaviest = -1;
  for (const node of nodes) {
    const weight = mix(keyHash ^ node.hash);
    if (weight <= heaviest) continue;
    heaviest = weight;
    chosen = node;
  }
  return chosen;
}

/** Returns the 32-bit FNV-1a hash of an ASCII text, mixed so that similar texts get unrelated numbers. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(hash);
}

/** The finalizer of MurmurHash3 (Austin Appleby, public domain): each bit of the input changes half of the output. */
function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
