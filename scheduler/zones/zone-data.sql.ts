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

/** How far a pass over calendars and jobs has come. Times are epoch milliseconds. */
export interface ZoneDataPlaceRow {
  /** When the pass began; null before the first. */
  readonly pass_time: number | null;
  /** The last calendar that was looked at; null when there is none left. */
  readonly pass_calendar: string | null;
  /** The last job that was looked at; null when there is none left. */
  readonly pass_job: string | null;
  /** Whether the pass has met a job that it could not change. */
  readonly pass_failed: boolean;
}

/** Returns how far the pass for release $1 has come. No row: it is settled. */
export const zoneDataPlace = statement<ZoneDataPlaceRow>(
  "zoneDataPlace",
  `select pass_time, pass_calendar, pass_job, pass_failed from scheduler.zone_data where version = $1 and settle_time is null`,
);

/** Begins a pass for release $1 at $2, unless another has begun since $3 (null: since ever). */
export const zoneDataBeginPass = statement<{ version: string }>(
  "zoneDataBeginPass",
  `update scheduler.zone_data set pass_time = $2, pass_calendar = '', pass_job = '', pass_failed = false
    where version = $1 and pass_time is not distinct from $3::timestamptz returning version`,
);

/**
 * Moves the pass for release $1 from calendar $2 and job $3 to calendar $4 and job $5, and records whether it has met a
 * job that it could not change ($6). Returns no row if it has moved already.
 */
export const zoneDataMovePass = statement<{ version: string }>(
  "zoneDataMovePass",
  `update scheduler.zone_data set pass_calendar = $4, pass_job = $5, pass_failed = pass_failed or $6
    where version = $1 and pass_calendar is not distinct from $2 and pass_job is not distinct from $3
   returning version`,
);

/** Tries to keep other passes for release $1 away until the transaction ends. Returns whether it could. */
export const zoneDataTryToSettle = statement<{ taken: boolean }>(
  "zoneDataTryToSettle",
  `select pg_try_advisory_xact_lock(hashtextextended('scheduler.zone_data/' || $1, 0)) as taken`,
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
 * Returns a page of the calendars with a uid greater than $3: at most $4, by uid, without deleted ones. `affected`: the
 * calendar is in one of the zones $1, and its version in effect was not computed with one of the releases $2.
 */
export const calendarsInZones = statement<{
  uid: string;
  project_id: string;
  name: string;
  affected: boolean;
}>(
  "calendarsInZones",
  `select c.uid, c.project_id, c.name,
          coalesce(v.spec ->> 'timeZone' = any ($1::text[]) and v.zone_data <> all ($2::text[]), false) as affected
     from (select uid, project_id, name, version from scheduler.calendars
            where uid > $3 and delete_time is null order by uid limit $4) as c
     left join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version
    order by c.uid`,
);
