import { findSpans } from "./find-spans.ts";
import { DAY_SECONDS, dayOfDate } from "./local-time.ts";
import { createZoneOffsets, type ZoneOffsets } from "./zone-offsets.ts";

/*
 * A zone's offsets as data. So the offsets of one release of the zone database can be stored and compared with those of
 * another release. A process whose own `Intl` has a third release can compute with them.
 */

/** The first and last calendar year (UTC) of a table. For other years the process's own release is used. */
const FIRST_TABLE_YEAR = 2020;
const LAST_TABLE_YEAR = 2059;

const START = dayOfDate(FIRST_TABLE_YEAR, 1, 1) * DAY_SECONDS;
const END = dayOfDate(LAST_TABLE_YEAR + 1, 1, 1) * DAY_SECONDS;

/**
 * The offsets of a zone from 2020 to 2059, as pairs: the second (UTC) from which an offset is in effect, and the
 * offset in seconds. Ascending; the first pair is at the start of 2020.
 */
export type ZoneTable = ReadonlyArray<readonly [second: number, offset: number]>;

/**
 * Makes the table of a zone. Two releases agree on a zone if their tables are equal. It searches all years at once and
 * keeps nothing of the zone: by months, there are more questions, and each zone would keep the months of 40 years.
 */
export function toTable(zone: ZoneOffsets): ZoneTable {
  const table: (readonly [number, number])[] = [];
  for (const { start, offset } of findSpans(zone.read, START, END)) {
    if (table.at(-1)?.[1] !== offset) table.push([start, offset]);
  }
  return table;
}

/** Makes a zone's offsets from a table. Outside the years of the table, `own` answers. */
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
