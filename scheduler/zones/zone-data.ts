import { type ZoneOffsets, type ZoneSource, zoneOffsets } from "../../cron/zone-offsets.ts";
import { fromTable, toTable, type ZoneTable } from "../../cron/zone-table.ts";
import type { Database, Queryable } from "../../db/pool.ts";
import {
  type ZoneDataRow,
  type ZoneOffsetsRow,
  zoneDataAll,
  zoneOffsetsAll,
  zoneOffsetsChanged,
} from "./zone-data.sql.ts";

/** A release of the zone database: its version ("2026c") and its zones. */
export interface ZoneRelease {
  readonly version: string;
  readonly zones: ZoneSource;
}

/** A release that is to come into force. */
export interface ComingRelease {
  readonly version: string;
  /** From here on it is in force. Epoch milliseconds. */
  readonly effectiveMs: number;
}

/**
 * The releases of the zone database that the database knows, which all schedulers share, whatever release each one's
 * own `Intl` has. Which one is in force is a matter of the clock, so all of them change over at the same instant.
 */
export interface ZoneData {
  /** The release in force at an instant. */
  inForce(nowMs: number): ZoneRelease;
  /** The next one to come into force; null when none waits. */
  coming(nowMs: number): ComingRelease | null;
  /** A release by its version; the first one for a version that is not known. */
  release(version: string): ZoneRelease;
  /** The version that a fire time is said to be computed by: the one in force if it says the same of the zones. */
  label(schedule: { readonly zoneData: string; readonly zones: readonly string[] }, nowMs: number): string;
  /** The zones on which a release differs from the one before. */
  changedBy(version: string): readonly string[];
  /** All releases, in the order in which they come into force. */
  all(): readonly ZoneDataRow[];
  /** Reads what other schedulers have recorded since. */
  refresh(): Promise<void>;
}

/** The release of this process: that of `Intl`. */
export function ownRelease(): ZoneRelease {
  return { version: process.versions.tz ?? "unknown", zones: zoneOffsets };
}

/** What the database says. */
interface Known {
  readonly rows: readonly ZoneDataRow[];
  readonly index: ReadonlyMap<string, number>;
  /** Of each zone on which releases differ, what each that says something of it says, by the release's place. */
  readonly tables: ReadonlyMap<string, ReadonlyMap<number, ZoneTable>>;
}

/** Makes the view of a process with its own release; it knows nothing until it has been refreshed. */
export function createZoneData(database: Database, own: ZoneRelease): ZoneData {
  let known: Known = { rows: [], index: new Map(), tables: new Map() };
  let releases = new Map<string, ZoneRelease>();

  const indexOf = (version: string) => known.index.get(version) ?? 0;

  const differ = (zone: string, one: number, other: number): boolean => {
    const tables = known.tables.get(zone);
    if (tables === undefined || one === other) return false;
    const [low, high] = one < other ? [one, other] : [other, one];
    return [...tables.keys()].some((index) => index > low && index <= high);
  };

  const offsetsBy = (zone: string, index: number): ZoneOffsets => {
    const native = own.zones(zone);
    const tables = known.tables.get(zone);
    for (let at = index; at >= 0; at--) {
      const table = tables?.get(at);
      if (table === undefined) continue;
      const same = JSON.stringify(table) === JSON.stringify(toTable(native));
      return same ? native : fromTable(native, table);
    }
    return native;
  };

  const release = (version: string): ZoneRelease => {
    const found = releases.get(version);
    if (found !== undefined) return found;
    const index = indexOf(version);
    const zones = new Map<string, ZoneOffsets>();
    const made: ZoneRelease = {
      version,
      zones: (zone) => {
        const offsets = zones.get(zone) ?? offsetsBy(zone, index);
        zones.set(zone, offsets);
        return offsets;
      },
    };
    releases.set(version, made);
    return made;
  };

  const inForce = (nowMs: number): ZoneRelease => {
    const row = known.rows.findLast(({ effective_time }) => effective_time <= nowMs) ?? known.rows[0];
    return release(row?.version ?? own.version);
  };

  return {
    inForce,
    coming: (nowMs) => {
      const row = known.rows.find(({ effective_time }) => effective_time > nowMs);
      return row === undefined || row === known.rows[0]
        ? null
        : { version: row.version, effectiveMs: row.effective_time };
    },
    release,
    label: ({ zoneData, zones }, nowMs) => {
      const { version } = inForce(nowMs);
      const [made, now] = [indexOf(zoneData), indexOf(version)];
      if (!zones.some((zone) => differ(zone, made, now))) return version;
      return known.rows[made]?.version ?? zoneData;
    },
    changedBy: (version) => {
      const index = known.index.get(version) ?? 0;
      if (index === 0) return [];
      return [...known.tables].flatMap(([zone, tables]) => (tables.has(index) ? [zone] : []));
    },
    all: () => known.rows,
    refresh: async () => {
      const read = await readKnown(database, own.version);
      if (read.rows.length !== known.rows.length) releases = new Map();
      known = read;
    },
  };
}

async function readKnown(on: Queryable, ownVersion: string): Promise<Known> {
  const rows = await on.query(zoneDataAll, []);
  const index = new Map(rows.map(({ version }, place) => [version, place]));
  const tables = new Map<string, Map<number, ZoneTable>>();
  // A process whose release is none of these may differ from them on any zone.
  const stored = !index.has(ownVersion)
    ? await on.query(zoneOffsetsAll, [])
    : rows.length < 2
      ? []
      : await on.query(zoneOffsetsChanged, [rows[0]?.version ?? ""]);
  for (const { zone, version, offsets } of stored) {
    const ofZone = tables.get(zone) ?? new Map<number, ZoneTable>();
    tables.set(zone, ofZone.set(index.get(version) ?? 0, JSON.parse(offsets)));
  }
  return { rows, index, tables };
}

/** What a release says of zones, as the database keeps it: JSON texts by name. */
export function tablesOf(release: ZoneRelease, names: readonly string[]): Map<string, string> {
  return new Map(names.map((name) => [name, JSON.stringify(toTable(release.zones(name)))]));
}

/** The newest that each zone's row says, of releases in the order of `rows`. */
export function newestTables(
  rows: readonly ZoneDataRow[],
  stored: readonly ZoneOffsetsRow[],
): Map<string, string> {
  const newest = new Map<string, string>();
  for (const { version } of rows) {
    for (const row of stored) {
      // Written anew, because PostgreSQL gives json as it got it and spaces are no difference.
      if (row.version === version) newest.set(row.zone, JSON.stringify(JSON.parse(row.offsets)));
    }
  }
  return newest;
}
