/** The most characters of JSON specifications on one page: well below the size limit of a message between services. */
const MAX_PAGE_CHARS = 4 * 1024 * 1024;

/**
 * Returns the first rows whose specifications fit into one message. A page may be shorter than requested, but has at least
 * one row.
 */
export function fittingPage<Row extends { readonly spec: string }>(rows: readonly Row[]): readonly Row[] {
  let chars = 0;
  const end = rows.findIndex((row) => {
    chars += row.spec.length;
    return chars > MAX_PAGE_CHARS;
  });
  return end === -1 ? rows : rows.slice(0, Math.max(1, end));
}
