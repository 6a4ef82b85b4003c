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
   * Returns the version that triggers name for a schedule: the one in effect if it has the same offsets in the
   * schedule's zones, otherwise the one that the schedule was compiled with.
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

/** The state of one process's view. */
interface View {
  /** The release of this process. */
  readonly own: ZoneRelease;
  known: Known;
  /** Releases that were made, by version. */
  releases: Map<string, ZoneRelease>;
}

/** Makes the view of a process with its own release. It knows no release until `refresh` has been called. */
export function createZoneData(database: Database, own: ZoneRelease): ZoneData {
  const view: View = { own, known: { rows: [], index: new Map(), tables: new Map() }, releases: new Map() };
  return {
    inForce: (nowMs) => inForce(view, nowMs),
    coming: (nowMs) => coming(view, nowMs),
    release: (version) => releaseOf(view, version),
    label: (schedule, nowMs) => label(view, schedule, nowMs),
    changedBy: (version) => changedBy(view, version),
    all: () => view.known.rows,
    refresh: async () => {
      const read = await readKnown(database, own.version);
      if (read.rows.length !== view.known.rows.length) view.releases = new Map();
      view.known = read;
    },
  };
}

function inForce(view: View, nowMs: number): ZoneRelease {
  const { rows } = view.known;
  const row = rows.findLast(({ effective_time }) => effective_time <= nowMs) ?? rows[0];
  return releaseOf(view, row?.version ?? view.own.version);
}

function coming({ known: { rows } }: View, nowMs: number): ComingRelease | null {
  const row = rows.find(({ effective_time }) => effective_time > nowMs);
  // The first release counts as in effect before its time too.
  if (row === undefined || row === rows[0]) return null;
  return { version: row.version, effectiveMs: row.effective_time };
}

function releaseOf(view: View, version: string): ZoneRelease {
  const made = view.releases.get(version);
  if (made !== undefined) return made;
  const index = indexOf(view, version);
  const zones = new Map<string, ZoneOffsets>();
  const release: ZoneRelease = {
    version,
    zones: (zone) => {
      const offsets = zones.get(zone) ?? offsetsOf(view, zone, index);
      zones.set(zone, offsets);
      return offsets;
    },
  };
  view.releases.set(version, release);
  return release;
}

/** Returns the offsets of a zone in the release at `index`: those stored last up to it, else those of this process. */
function offsetsOf({ own, known }: View, zone: string, index: number): ZoneOffsets {
  const native = own.zones(zone);
  const tables = known.tables.get(zone);
  for (let at = index; at >= 0; at--) {
    const table = tables?.get(at);
    if (table === undefined) continue;
    const isSame = JSON.stringify(table) === JSON.stringify(toTable(native));
    return isSame ? native : fromTable(native, table);
  }
  return native;
}

function label(
  view: View,
  { zoneData, zones }: { readonly zoneData: string; readonly zones: readonly string[] },
  nowMs: number,
): string {
  const { version } = inForce(view, nowMs);
  const [compiled, current] = [indexOf(view, zoneData), indexOf(view, version)];
  if (!zones.some((zone) => isDifferent(view, zone, compiled, current))) return version;
  return view.known.rows[compiled]?.version ?? zoneData;
}

/**
 * Tells whether two releases have different offsets in a zone: whether one between them, or the later one, changed it.
 */
function isDifferent({ known }: View, zone: string, one: number, other: number): boolean {
  const tables = known.tables.get(zone);
  if (tables === undefined || one === other) return false;
  const [low, high] = one < other ? [one, other] : [other, one];
  return [...tables.keys()].some((index) => index > low && index <= high);
}

function changedBy(view: View, version: string): string[] {
  const index = indexOf(view, version);
  if (index === 0) return [];
  return [...view.known.tables].flatMap(([zone, tables]) => (tables.has(index) ? [zone] : []));
}

/** Returns the index of a release; 0, the first, for an unknown version. */
function indexOf({ known }: View, version: string): number {
  return known.index.get(version) ?? 0;
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

/**
 * Returns the offsets of zones in a release as the database stores them: JSON texts by zone name. It computes those
 * that are not in `computed`, which takes about 5 ms of CPU time for each zone.
 */
export function tablesOf(
  release: ZoneRelease,
  names: readonly string[],
  computed: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const tableOf = (name: string) => computed.get(name) ?? JSON.stringify(toTable(release.zones(name)));
  return new Map(names.map((name) => [name, tableOf(name)]));
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
