import { statement } from "../../db/statement.ts";

/** A release of the zone database. Times are epoch milliseconds. */
export interface ZoneDataRow {
  readonly version: string;
  /** From when on it is in effect. */
  readonly effective_time: number;
  /** When all jobs and calendars that it affects had been brought up to date; null before. */
  readonly settle_time: number | null;
}

/** The offsets of one zone in one release, as JSON text of a ZoneTable. */
export interface ZoneOffsetsRow {
  readonly zone: string;
  readonly version: string;
  readonly offsets: string;
}

/** Returns all releases, in the order in which they take effect. */
export const zoneDataAll = statement<ZoneDataRow>(
  "zoneDataAll",
  `select version, effective_time, settle_time from scheduler.zone_data order by effective_time, create_time`,
);

/** Adds a release: version, from when on it is in effect, now. Returns no row if the release exists already. */
export const zoneDataInsert = statement<{ version: string }>(
  "zoneDataInsert",
  `insert into scheduler.zone_data (version, effective_time, create_time) values ($1, $2, $3)
   on conflict do nothing returning version`,
);

/** Records that at $2 all jobs and calendars that release $1 affects had been brought up to date. */
export const zoneDataSettled = statement<{ version: string }>(
  "zoneDataSettled",
  `update scheduler.zone_data set settle_time = $2 where version = $1 returning version`,
);

/**
 * Adds the offsets of zones in release $1: names $2 and JSON texts $3. Zones that have theirs already are left alone.
 */
export const zoneOffsetsInsert = statement<{ zone: string }>(
  "zoneOffsetsInsert",
  `insert into scheduler.zone_offsets (version, zone, offsets)
   select $1, given.zone, given.offsets::json from unnest($2::text[], $3::text[]) as given (zone, offsets)
   on conflict do nothing returning zone`,
);

/**
 * Returns the offsets, in every release, of the zones that a later release changed. $1 is the version of the first
 * release; rows of other releases exist only for zones that they changed.
 */
export const zoneOffsetsChanged = statement<ZoneOffsetsRow>(
  "zoneOffsetsChanged",
  `select zone, version, offsets::text as offsets from scheduler.zone_offsets
    where zone in (select zone from scheduler.zone_offsets where version <> $1)`,
);

/** Returns the offsets of all zones in all releases. */
export const zoneOffsetsAll = statement<ZoneOffsetsRow>(
  "zoneOffsetsAll",
  `select zone, version, offsets::text as offsets from scheduler.zone_offsets`,
);

/** Returns the zones whose offsets in release $1 are stored. */
export const zoneOffsetsZones = statement<{ zone: string }>(
  "zoneOffsetsZones",
  `select zone from scheduler.zone_offsets where version = $1`,
);

/**
 * Returns calendars in one of the zones $1 whose version in effect was not computed with one of the releases $2: at
 * most $3, without deleted ones.
 */
export const calendarsInZones = statement<{ uid: string; project_id: string; name: string }>(
  "calendarsInZones",
  `select c.uid, c.project_id, c.name
     from scheduler.calendars c
     join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version
    where c.delete_time is null and v.spec ->> 'timeZone' = any ($1::text[]) and v.zone_data <> all ($2::text[])
    order by c.uid limit $3`,
);
