import { setTimeout } from "node:timers/promises";
import { zoneNames } from "../../cron/zone.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  zoneDataAll,
  zoneDataInsert,
  zoneOffsetsAll,
  zoneOffsetsInsert,
  zoneOffsetsZones,
} from "./zone-data.sql.ts";
import { newestTables, tablesOf, type ZoneRelease } from "./zone-data.ts";

/** What came of recording a release. */
export interface RecordedRelease {
  /** From when it is, or was, in force. Epoch milliseconds. */
  readonly effectiveMs: number;
  /** The zones on which it differs from the one before; empty when it was recorded before. */
  readonly changed: readonly string[];
  /** Whether this call recorded it. */
  readonly isNew: boolean;
}

/**
 * Records a release that the database does not know yet: the first is in force at once, a later one `noticeMs` from now,
 * with the zones on which it differs from the newest that is known. Any number of schedulers may do so at once. One that
 * is older than the newest ("2025c" is older than "2026a") changes nothing: it is a step back of the process. A zone of which nothing is kept yet is taken not to differ.
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
  );
  const changed = [...tables.keys()].filter((zone) => tables.get(zone) !== before.get(zone));
  // Not before one that waits already: releases come into force in the order in which they were recorded.
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
 * Keeps what the first release says of every zone, so that a later one can be compared with it; does nothing if the
 * first is another than `release`, or all is kept. A zone takes some milliseconds, so it pauses between two. `names` are
 * the zones, by default all.
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
  for (const zone of names) {
    if (kept.has(zone)) continue;
    const tables = tablesOf(release, [zone]);
    await database.query(zoneOffsetsInsert, [release.version, [...tables.keys()], [...tables.values()]]);
    await setTimeout(pauseMs, undefined, { signal });
  }
}
