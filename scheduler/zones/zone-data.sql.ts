import { statement } from "../../db/statement.ts";

/** A release of the zone database. Times are epoch milliseconds. */
export interface ZoneDataRow {
  readonly version: string;
  /** From here on it is in force. */
  readonly effective_time: number;
  readonly settle_time: number | null;
}

/** What a release says of a zone: JSON text of a ZoneTable. */
export interface ZoneOffsetsRow {
  readonly zone: string;
  readonly version: string;
  readonly offsets: string;
}

/** All releases, in the order in which they come into force. */
export const zoneDataAll = statement<ZoneDataRow>(
  "zoneDataAll",
  `select version, effective_time, settle_time from scheduler.zone_data order by effective_time, create_time`,
);

/** Adds a release: version, from when it is in force, now. Nothing if it is there. */
export const zoneDataInsert = statement<{ version: string }>(
  "zoneDataInsert",
  `insert into scheduler.zone_data (version, effective_time, create_time) values ($1, $2, $3)
   on conflict do nothing returning version`,
);

/** Records that all that a release moves has been moved. */
export const zoneDataSettled = statement<{ version: string }>(
  "zoneDataSettled",
  `update scheduler.zone_data set settle_time = $2 where version = $1 returning version`,
);

/** Adds what the release $1 says of zones: names and JSON texts. */
export const zoneOffsetsInsert = statement<{ zone: string }>(
  "zoneOffsetsInsert",
  `insert into scheduler.zone_offsets (version, zone, offsets)
   select $1, given.zone, given.offsets::json from unnest($2::text[], $3::text[]) as given (zone, offsets)
   on conflict do nothing returning zone`,
);

/** All that is known of the zones on which some release differs from the one before, which is not $1, the first. */
export const zoneOffsetsChanged = statement<ZoneOffsetsRow>(
  "zoneOffsetsChanged",
  `select zone, version, offsets::text as offsets from scheduler.zone_offsets
    where zone in (select zone from scheduler.zone_offsets where version <> $1)`,
);

/** What is known of every zone. */
export const zoneOffsetsAll = statement<ZoneOffsetsRow>(
  "zoneOffsetsAll",
  `select zone, version, offsets::text as offsets from scheduler.zone_offsets`,
);

/** The zones of which the release $1 says something. */
export const zoneOffsetsZones = statement<{ zone: string }>(
  "zoneOffsetsZones",
  `select zone from scheduler.zone_offsets where version = $1`,
);

/** Living calendars in one of the zones $1 whose version in force is not by one of the releases $2, at most $3. */
export const calendarsInZones = statement<{ uid: string; project_id: string; name: string }>(
  "calendarsInZones",
  `select c.uid, c.project_id, c.name
     from scheduler.calendars c
     join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version
    where c.delete_time is null and v.spec ->> 'timeZone' = any ($1::text[]) and v.zone_data <> all ($2::text[])
    order by c.uid limit $3`,
);
