/**
 * Returns the name that a misspelled one most likely stands for: the one with the fewest edits, at most a third of its
 * characters. An edit adds, leaves out or replaces a character, or swaps two neighbours; case and `_` do not count.
 */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const plain = toPlain(given);
  let nearest: { readonly name: string; readonly edits: number } | undefined;
  for (const name of names) {
    const known = toPlain(name);
    const most = Math.floor(Math.max(known.length, 3) / 3);
    if (Math.abs(known.length - plain.length) > most) continue;
    const edits = countEdits(plain, known);
    if (edits <= most && (nearest === undefined || edits < nearest.edits)) nearest = { name, edits };
  }
  return nearest?.name;
}

function toPlain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

/** Returns the optimal string alignment distance of two texts. */
function countEdits(from: string, to: string): number {
  let before: number[] = [];
  let above = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const replaced = (above[column - 1] ?? 0) + (isSame ? 0 : 1);
      let edits = Math.min(replaced, (above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && isSwap) edits = Math.min(edits, (before[column - 2] ?? 0) + 1);
      current.push(edits);
    }
    before = above;
    above = current;
  }
  return above[to.length] ?? 0;
}
