import { setTimeout } from "node:timers/promises";
import { zoneNames } from "../../cron/zone.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { readComputedTables } from "./computed-tables.ts";
import {
  zoneDataAll,
  zoneDataInsert,
  zoneOffsetsAll,
  zoneOffsetsInsert,
  zoneOffsetsZones,
} from "./zone-data.sql.ts";
import { newestTables, tablesOf, type ZoneRelease } from "./zone-data.ts";

/** The result of recording a release. */
export interface RecordedRelease {
  /** From when on it is in effect. Epoch milliseconds. */
  readonly effectiveMs: number;
  /** The zones that it changes; empty if this call did not record it. */
  readonly changed: readonly string[];
  /** Whether this call recorded it. */
  readonly isNew: boolean;
}

/**
 * Records a release that the database does not know yet, with the zones that differ from the newest known release. The
 * first release is in effect at once, a later one `noticeMs` from now. Any number of schedulers may call this at the
 * same time. A release that is older than the newest ("2025c" is older than "2026a") is not recorded: the process was
 * set back to an older Node. A zone without stored offsets counts as unchanged.
 */
export async function recordRelease(
  database: Database,
  release: ZoneRelease,
  { nowMs, noticeMs }: { readonly nowMs: number; readonly noticeMs: number },
): Promise<RecordedRelease> {
  const rows = await database.query(zoneDataAll, []);
  const there = rows.find(({ version }) => version === release.version);
  const newest =
    rows
      .map(({ version }) => version)
      .sort()
      .at(-1) ?? "";
  if (there !== undefined || release.version < newest)
    return { effectiveMs: there?.effective_time ?? nowMs, changed: [], isNew: false };
  const before = newestTables(rows, rows.length === 0 ? [] : await database.query(zoneOffsetsAll, []));
  const tables = tablesOf(
    release,
    zoneNames().filter((name) => before.has(name)),
    await readComputedTables(release.version),
  );
  const changed = [...tables.keys()].filter((zone) => tables.get(zone) !== before.get(zone));
  // Not before a release that has still to take effect: releases take effect in the order of their recording.
  const latestMs = Math.max(nowMs, ...rows.map(({ effective_time }) => effective_time));
  const effectiveMs = rows.length === 0 ? nowMs : Math.max(latestMs, nowMs + noticeMs);
  const isNew = await database.transaction(async (tx) => {
    const values = [release.version, toSqlTime(effectiveMs), toSqlTime(nowMs)];
    const added = await tx.query(zoneDataInsert, values);
    if (added.length === 0) return false;
    const offsets = changed.map((zone) => tables.get(zone) ?? "");
    if (changed.length > 0) await tx.query(zoneOffsetsInsert, [release.version, changed, offsets]);
    return true;
  });
  return { effectiveMs, changed: isNew ? changed : [], isNew };
}

/**
 * Stores the offsets of every zone in the first release, so that a later release can be compared with it. Does nothing
 * if `release` is not the first, or if everything is stored. Zones that were computed in advance are stored at once.
 * Each of the others takes some milliseconds of computing, so this pauses for `pauseMs` after each. Rejects with an
 * AbortError when `signal` aborts. `names` are the zones, by default all.
 */
export async function keepFirstRelease(
  database: Database,
  release: ZoneRelease,
  {
    pauseMs,
    signal,
    names = zoneNames(),
  }: { readonly pauseMs: number; readonly signal: AbortSignal; readonly names?: readonly string[] },
): Promise<void> {
  const [first] = await database.query(zoneDataAll, []);
  if (first?.version !== release.version) return;
  const kept = new Set((await database.query(zoneOffsetsZones, [release.version])).map(({ zone }) => zone));
  const missing = names.filter((name) => !kept.has(name));
  if (missing.length === 0) return;
  const computed = await readComputedTables(release.version);
  const keep = async (zones: readonly string[]) => {
    const tables = tablesOf(release, zones, computed);
    await database.query(zoneOffsetsInsert, [release.version, [...tables.keys()], [...tables.values()]]);
  };
  const known = missing.filter((name) => computed.has(name));
  if (known.length > 0) await keep(known);
  for (const zone of missing) {
    if (computed.has(zone)) continue;
    await keep([zone]);
    await setTimeout(pauseMs, undefined, { signal });
  }
}
