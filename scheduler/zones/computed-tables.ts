import { readFile } from "node:fs/promises";

/*
 * The offsets of all zones in one release of the time zone database, computed in advance and kept as a file. Computing
 * them takes 2.6 s of CPU time, which is more than everything else that a scheduler does in its first minute.
 *
 * The first line of the file is the version of the release. Each further line has the names of zones that have the same
 * offsets, a colon, and the pairs of their table (cron/zone-table.ts), such as "1577836800=3600". `npm run zones` writes
 * the file.
 */

/** The file of the release that the pinned Node has. */
export const COMPUTED_TABLES_FILE = new URL("./computed-tables.txt", import.meta.url);

/**
 * Returns the offsets of zones in a release as the database stores them, JSON texts by zone name, without computing
 * anything. Returns none if the file has another release. Throws when the file cannot be read.
 */
export async function readComputedTables(version: string): Promise<ReadonlyMap<string, string>> {
  const [of, ...lines] = (await readFile(COMPUTED_TABLES_FILE, "utf8")).trimEnd().split("\n");
  return of === version ? new Map(lines.flatMap(parseLine)) : new Map();
}

function parseLine(line: string): [zone: string, offsets: string][] {
  const [names = "", pairs = ""] = line.split(": ");
  const offsets = JSON.stringify(pairs.split(" ").map((pair) => pair.split("=").map(Number)));
  return names.split(" ").map((name) => [name, offsets]);
}

/** Writes the offsets of zones, JSON texts by zone name, as the text of a file of computed tables. */
export function formatComputedTables(version: string, tables: ReadonlyMap<string, string>): string {
  const zones = Map.groupBy(tables.keys(), (name) => tables.get(name) ?? "");
  const lines = [...zones].map(([offsets, names]) => {
    const pairs: readonly (readonly [number, number])[] = JSON.parse(offsets);
    return `${names.join(" ")}: ${pairs.map((pair) => pair.join("=")).join(" ")}`;
  });
  return `${[version, ...lines].join("\n")}\n`;
}
