/**
 * Returns a number from 0 to 2^32 - 1 that depends on the text only. It is the same in every process and every version.
 *
 * The algorithm is FNV-1a over UTF-16 code units. MurmurHash3's mixer follows, so that similar texts get very different
 * numbers. Not for secrets.
 */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
