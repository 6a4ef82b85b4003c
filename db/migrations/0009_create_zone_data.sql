-- Releases of the IANA time zone database, as the schedulers' processes brought them. The one in force at an instant is
-- the one whose effective_time came last; a newer one is only reported on until its own comes.
create table scheduler.zone_data (
  version text primary key,
  effective_time timestamptz not null,
  create_time timestamptz not null,
  -- When the jobs and calendars that it moves had all been moved.
  settle_time timestamptz
);

create index zone_data_effective_time on scheduler.zone_data (effective_time);

-- The offsets of a zone by a release. Of the first release every zone has a row; of a later one, those only on which
-- it differs from the one before.
create table scheduler.zone_offsets (
  zone text not null,
  version text not null references scheduler.zone_data (version),
  -- Pairs of a second and the offset kept from it on (cron/zone-table.ts).
  offsets json not null,
  primary key (zone, version)
);

-- The release by which the fire times of a revision, or the hours of a calendar's version, are computed, for ever;
-- empty for those older than this column, which means the first.
alter table scheduler.revisions add column zone_data text not null default '';
alter table scheduler.calendar_versions add column zone_data text not null default '';

grant select, insert, update, delete on scheduler.zone_data, scheduler.zone_offsets to easycron_scheduler;

alter table dispatcher.triggers
  -- The release by which its fire time was computed; empty for those older than this column.
  add column zone_data text not null default '';

drop function dispatcher.ledger_triggers;
create function dispatcher.ledger_triggers(
  of_project_id text, of_job_uid text, from_time timestamptz, to_time timestamptz, most integer
)
returns table (
  id text, fire_time timestamptz, effective_time timestamptz, job_name text, revision integer, kind text, state text,
  seq integer, previous_skipped integer, previous_missed integer, attempt_count integer, create_time timestamptz,
  start_time timestamptz, end_time timestamptz, zone_data text
)
language sql stable security definer set search_path = pg_catalog
as $$
  select t.id, t.fire_time, t.effective_time, t.job_name, t.revision, t.kind, t.state, t.seq, t.previous_skipped,
         t.previous_missed, t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time between from_time and to_time
     and t.kind <> 'MANUAL'
   order by t.fire_time limit most
$$;

revoke execute on function dispatcher.ledger_triggers from public;
grant execute on function dispatcher.ledger_triggers to easycron_scheduler;
