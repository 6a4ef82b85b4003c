-- A specification holds the customer's payload, which may contain what PostgreSQL cannot read as JSON: the escape \u0000.
-- A statement that read one such row would fail for every row that it reads. So the specification is text, and no
-- statement reads inside it.
alter table scheduler.revisions
  alter column spec type text using spec::text,
  -- What statements select revisions by: {"labels": {key: value}, "target": "webhook", "zones": ["Europe/Paris"]}. The
  -- scheduler computes it from the specification (scheduler/job/facets.ts).
  add column facets jsonb;

create function pg_temp.facets_of_json(spec jsonb) returns jsonb
language sql immutable
as $$
  select jsonb_build_object(
    'labels', coalesce(spec -> 'labels', '{}'),
    'target', (select kind from unnest(array['webhook', 'redis', 'kafka']) as kind where spec -> 'target' ? kind limit 1),
    'zones', (select coalesce(jsonb_agg(distinct coalesce(nullif(schedule ->> 'timeZone', ''), 'UTC')), '[]')
                from jsonb_array_elements(coalesce(spec -> 'schedules', '[]')) as schedule))
$$;

-- A specification that PostgreSQL cannot read is read without the escapes that it refuses. The expression also matches
-- escaped backslashes and keeps them, so that the text \\u0000, which is a backslash and five letters, stays whole. A
-- text that still cannot be read gets no facets: no filter finds it, and its job is reported as one that cannot be
-- computed.
create function pg_temp.facets_of(spec text) returns jsonb
language plpgsql immutable
as $$
begin
  return pg_temp.facets_of_json(spec::jsonb);
exception when data_exception then
  begin
    return pg_temp.facets_of_json(regexp_replace(spec, '(\\\\)|\\u(?:0000|d[89a-f][0-9a-f]{2})', '\1', 'gi')::jsonb);
  exception when data_exception then
    return '{}';
  end;
end
$$;

update scheduler.revisions set facets = pg_temp.facets_of(spec);
alter table scheduler.revisions alter column facets set not null;

drop function pg_temp.facets_of(text);
drop function pg_temp.facets_of_json(jsonb);

-- withdraw and cancel do what they did, but write by the ids that they have locked. A connection keeps the plan of a
-- function's statement. The former DELETE and UPDATE, planned while a partition was still empty, could choose an index of
-- all live triggers, and then read all of them at each call.
create or replace function dispatcher.withdraw(of_job_uid text, after_time timestamptz)
returns table (
  kept boolean, fire_time timestamptz, seq integer, previous_fire_time timestamptz, previous_skipped integer,
  previous_missed integer
)
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
  started_time timestamptz;
begin
  -- The rows are locked first, so that none starts between the looking and the taking.
  select array_agg(l.id), min(l.fire_time), max(l.fire_time) into locked_ids, first_time, last_time
    from (select t.id, t.fire_time from dispatcher.triggers t
           where t.job_uid = of_job_uid and t.end_time is null and t.effective_time > after_time
             and t.kind = 'SCHEDULED'
           order by t.fire_time
             for update) as l;
  -- What is earlier than one that has started stays: its dispatcher is late with it.
  select max(t.fire_time) into started_time from dispatcher.triggers t
   where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     and t.state <> 'PENDING';
  return query
    delete from dispatcher.triggers t
     where t.id = any (locked_ids) and t.fire_time between first_time and last_time
       and t.state = 'PENDING' and (started_time is null or t.fire_time > started_time)
    returning false, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed;
  return query
    select true, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
      from dispatcher.triggers t
     where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     order by t.fire_time desc limit 1;
end
$$;

create or replace function dispatcher.cancel(of_job_uid text, at_time timestamptz)
returns void
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off
as $$
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
begin
  select array_agg(l.id), min(l.fire_time), max(l.fire_time) into locked_ids, first_time, last_time
    from (select t.id, t.fire_time from dispatcher.triggers t
           where t.job_uid = of_job_uid and t.end_time is null
           order by t.fire_time
             for update) as l;
  update dispatcher.triggers t
     set state = case when t.state = 'RUNNING' then t.state else 'CANCELLED' end,
         end_time = case when t.state = 'RUNNING' then null else at_time end,
         owner = case when t.state = 'RUNNING' then t.owner end,
         cancel_time = at_time
   where t.id = any (locked_ids) and t.fire_time between first_time and last_time;
end
$$;
