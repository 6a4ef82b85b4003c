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

/** A release of the time zone database: its version, such as "2026c", and its zones. */
export interface ZoneRelease {
  readonly version: string;
  readonly zones: ZoneSource;
}

/** A release that has not taken effect yet. */
export interface ComingRelease {
  readonly version: string;
  /** From when on it is in effect. Epoch milliseconds. */
  readonly effectiveMs: number;
}

/**
 * The zone data releases that are recorded in the database. All schedulers share them, whatever release the `Intl` of
 * each process has. The clock alone decides which one is in effect, so all schedulers switch at the same instant.
 */
export interface ZoneData {
  /** Returns the release in effect at an instant. */
  inForce(nowMs: number): ZoneRelease;
  /** Returns the next release to take effect; null when there is none. */
  coming(nowMs: number): ComingRelease | null;
  /** Returns a release by its version. For an unknown version it gives the zones of the first release. */
  release(version: string): ZoneRelease;
  /**
   * Returns the version that triggers name for a schedule: the one in effect if it has the same offsets in the schedule's
   * zones, otherwise the one that the schedule was compiled with.
   */
  label(schedule: { readonly zoneData: string; readonly zones: readonly string[] }, nowMs: number): string;
  /** Returns the zones that a release changed; empty for the first. */
  changedBy(version: string): readonly string[];
  /** Returns all releases, in the order in which they take effect. */
  all(): readonly ZoneDataRow[];
  /** Reads the releases that other schedulers have recorded since the last call. */
  refresh(): Promise<void>;
}

/** Returns the release that the `Intl` of this process has. */
export function ownRelease(): ZoneRelease {
  return { version: process.versions.tz ?? "unknown", zones: zoneOffsets };
}

/** What was last read from the database. */
interface Known {
  readonly rows: readonly ZoneDataRow[];
  /** The index in `rows`, by version. */
  readonly index: ReadonlyMap<string, number>;
  /** The stored offsets by zone, then by the index of the release. Only zones on which releases differ are in it. */
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
  // If the release of this process is not recorded, it may differ from the recorded ones in any zone.
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

/** Returns the offsets of zones in a release as the database stores them: JSON texts by zone name. */
export function tablesOf(release: ZoneRelease, names: readonly string[]): Map<string, string> {
  return new Map(names.map((name) => [name, JSON.stringify(toTable(release.zones(name)))]));
}

/** Returns each zone's offsets in the newest release that stores them. `rows` has the releases in order. */
export function newestTables(
  rows: readonly ZoneDataRow[],
  stored: readonly ZoneOffsetsRow[],
): Map<string, string> {
  const newest = new Map<string, string>();
  for (const { version } of rows) {
    for (const row of stored) {
      // Parsed and written again, because PostgreSQL returns json with the spaces it was given.
      if (row.version === version) newest.set(row.zone, JSON.stringify(JSON.parse(row.offsets)));
    }
  }
  return newest;
}
