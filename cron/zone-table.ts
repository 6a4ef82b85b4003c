import { DAY_SECONDS, dayOfDate } from "./local-time.ts";
import { createZoneOffsets, spanAt, type ZoneOffsets } from "./zone-offsets.ts";

/*
 * A zone's offsets as data, so that what one release of the zone database says can be kept, compared with what another
 * says, and computed with by a process whose own release is a third.
 */

/** First and last calendar year (UTC) that a table holds. Outside, a process's own release answers. */
const FIRST_TABLE_YEAR = 2020;
const LAST_TABLE_YEAR = 2059;

const START = dayOfDate(FIRST_TABLE_YEAR, 1, 1) * DAY_SECONDS;
const END = dayOfDate(LAST_TABLE_YEAR + 1, 1, 1) * DAY_SECONDS;

/**
 * The offsets of a zone from 2020 to 2059: pairs of the second (UTC) from which one is kept and the offset itself, in
 * seconds, ascending; the first is the start of 2020.
 */
export type ZoneTable = ReadonlyArray<readonly [second: number, offset: number]>;

/** Reads a zone's table. Two releases agree on a zone if their tables are equal. */
export function toTable(zone: ZoneOffsets): ZoneTable {
  const table: (readonly [number, number])[] = [];
  for (let second = START; second < END; ) {
    const span = spanAt(zone, second);
    if (table.at(-1)?.[1] !== span.offset) table.push([Math.max(span.start, START), span.offset]);
    second = span.end;
  }
  return table;
}

/** The offsets that a table holds, and outside of it those of `own`. */
export function fromTable(own: ZoneOffsets, table: ZoneTable): ZoneOffsets {
  return createZoneOffsets(own.name, (second) => {
    const inside = second >= START && second < END;
    return inside ? offsetIn(table, second) : own.read(second);
  });
}

function offsetIn(table: ZoneTable, second: number): number {
  let low = 0;
  let high = table.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((table[middle]?.[0] ?? 0) <= second) low = middle;
    else high = middle - 1;
  }
  return table[low]?.[1] ?? 0;
}
