-- The schema of a freshly migrated database. `npm run schema` writes this file; do not edit it.

create schema dispatcher;

create table dispatcher.alert_facts (
  job_uid text collate "C" not null,
  kind text not null,
  cause text not null,
  fact_time timestamp with time zone not null,
  first_fire_time timestamp with time zone,
  last_fire_time timestamp with time zone,
  fire_count integer not null default 0,
  trigger_id text,
  attempts integer,
  reason text not null default ''::text,
  project_id text,
  is_loose boolean not null default false,
  constraint alert_facts_kind_check CHECK ((kind = ANY (ARRAY['EXHAUSTED'::text, 'FAILING'::text, 'MISSED'::text, 'DISABLED'::text]))),
  constraint alert_facts_pkey PRIMARY KEY (job_uid, kind, cause)
);
CREATE INDEX alert_facts_loose ON dispatcher.alert_facts USING btree (job_uid) WHERE is_loose;
CREATE INDEX alert_facts_project ON dispatcher.alert_facts USING btree (project_id);

create table dispatcher.alert_jobs (
  job_uid text collate "C" not null,
  project_id text not null,
  within_ms bigint,
  look_time timestamp with time zone not null,
  held_until timestamp with time zone not null,
  watched_until timestamp with time zone not null,
  told text[] not null default '{}'::text[],
  since_time timestamp with time zone,
  of_project boolean not null default false,
  constraint alert_jobs_pkey PRIMARY KEY (job_uid)
);
CREATE INDEX alert_jobs_look ON dispatcher.alert_jobs USING btree (look_time);

create table dispatcher.alerts (
  id text collate "C" not null,
  project_id text not null,
  job_uid text not null,
  event text not null,
  body text not null,
  state text not null default 'PENDING'::text,
  attempt_count integer not null default 0,
  create_time timestamp with time zone not null,
  due_time timestamp with time zone,
  end_time timestamp with time zone,
  last_error text not null default ''::text,
  constraint alerts_check CHECK (((due_time IS NULL) = (end_time IS NOT NULL))),
  constraint alerts_check1 CHECK (((end_time IS NULL) = (state = 'PENDING'::text))),
  constraint alerts_pkey PRIMARY KEY (id),
  constraint alerts_state_check CHECK ((state = ANY (ARRAY['PENDING'::text, 'SUCCEEDED'::text, 'EXHAUSTED'::text, 'CANCELLED'::text])))
);
CREATE INDEX alerts_due ON dispatcher.alerts USING btree (due_time) WHERE (due_time IS NOT NULL);
CREATE INDEX alerts_end ON dispatcher.alerts USING btree (end_time) WHERE (end_time IS NOT NULL);
CREATE INDEX alerts_job ON dispatcher.alerts USING btree (job_uid, create_time);
CREATE INDEX alerts_project ON dispatcher.alerts USING btree (project_id, create_time);

create table dispatcher.attempts (
  trigger_id text collate "C" not null,
  fire_time timestamp with time zone not null,
  number integer not null,
  id text not null,
  outcome text not null,
  start_time timestamp with time zone not null,
  duration_ms integer not null,
  status_code integer,
  error text not null default ''::text,
  response_body text not null default ''::text,
  timing text,
  response_headers text,
  constraint attempts_outcome_check CHECK ((outcome = ANY (ARRAY['SUCCEEDED'::text, 'REJECTED'::text, 'NOT_SENT'::text, 'UNKNOWN'::text]))),
  constraint attempts_pkey PRIMARY KEY (trigger_id, number, fire_time)
) partition by range (fire_time);

create table dispatcher.data_keys (
  project_id text not null,
  master_key_id text not null,
  wrapped_key bytea not null,
  keys_version bigint not null,
  create_time timestamp with time zone not null,
  constraint data_keys_pkey PRIMARY KEY (project_id)
);
CREATE INDEX data_keys_master_key ON dispatcher.data_keys USING btree (master_key_id);
CREATE INDEX data_keys_version ON dispatcher.data_keys USING btree (keys_version);

create table dispatcher.instances (
  id text not null,
  start_time timestamp with time zone not null,
  lease_until timestamp with time zone not null,
  alive_time timestamp with time zone not null default now(),
  master_key_id text,
  constraint instances_pkey PRIMARY KEY (id)
);

create table dispatcher.live_triggers (
  id text collate "C" not null,
  fire_time timestamp with time zone not null,
  project_id text collate "C" not null,
  job_uid text collate "C" not null,
  kind text not null,
  attempt_base integer not null default 0,
  owner text collate "C",
  due_time timestamp with time zone not null,
  constraint live_triggers_pkey PRIMARY KEY (id)
);
CREATE INDEX live_triggers_due ON dispatcher.live_triggers USING btree (owner, due_time);
CREATE INDEX live_triggers_job ON dispatcher.live_triggers USING btree (job_uid, fire_time DESC, id DESC);
CREATE INDEX live_triggers_project ON dispatcher.live_triggers USING btree (project_id, fire_time DESC, id DESC);

create table dispatcher.master_key (
  only_row boolean not null default true,
  key_id text not null,
  check_value bytea not null,
  create_time timestamp with time zone not null,
  constraint master_key_only_row_check CHECK (only_row),
  constraint master_key_pkey PRIMARY KEY (only_row)
);

create table dispatcher.project_alerts (
  project_id text not null,
  spec text not null,
  within_ms bigint,
  set_time timestamp with time zone not null,
  page_time timestamp with time zone,
  page_after text collate "C" not null default ''::text,
  page_count integer not null default 0,
  job_count integer not null default 0,
  full_until timestamp with time zone,
  constraint project_alerts_check CHECK (((page_time IS NULL) = (within_ms IS NULL))),
  constraint project_alerts_pkey PRIMARY KEY (project_id)
);
CREATE INDEX project_alerts_page ON dispatcher.project_alerts USING btree (page_time) WHERE (page_time IS NOT NULL);

create table dispatcher.retention (
  project_id text not null,
  days integer not null default 30,
  floor_time timestamp with time zone not null default '-infinity'::timestamp with time zone,
  set_time timestamp with time zone not null default now(),
  known_floor_time timestamp with time zone not null default '-infinity'::timestamp with time zone,
  constraint retention_check CHECK ((known_floor_time <= floor_time)),
  constraint retention_days_check CHECK (((days >= 1) AND (days <= 400))),
  constraint retention_pkey PRIMARY KEY (project_id)
);

create table dispatcher.set_aside (
  kind text not null,
  id text not null,
  project_id text not null,
  job_uid text not null,
  problem text not null,
  failures integer not null default 1,
  first_time timestamp with time zone not null,
  last_time timestamp with time zone not null,
  retry_time timestamp with time zone not null,
  constraint set_aside_kind_check CHECK ((kind = ANY (ARRAY['specification'::text, 'trigger'::text, 'result'::text]))),
  constraint set_aside_pkey PRIMARY KEY (kind, id),
  constraint set_aside_problem_check CHECK ((length(problem) <= 500))
);

create table dispatcher.signals (
  end_time timestamp with time zone not null,
  trigger_id text not null,
  project_id text not null,
  job_uid text not null,
  fire_time timestamp with time zone not null,
  revision integer not null,
  kind text not null,
  constraint signals_kind_check CHECK ((kind = ANY (ARRAY['EXHAUSTED'::text, 'GONE'::text, 'RECEIVER'::text]))),
  constraint signals_pkey PRIMARY KEY (end_time, trigger_id)
);

create table dispatcher.signing_keys (
  id text not null,
  project_id text not null,
  sealed_secret bytea not null,
  create_time timestamp with time zone not null,
  algorithm text not null,
  public_key text,
  expire_time timestamp with time zone,
  revoke_time timestamp with time zone,
  constraint signing_keys_algorithm CHECK ((algorithm = ANY (ARRAY['HMAC_SHA256'::text, 'ED25519'::text]))),
  constraint signing_keys_pkey PRIMARY KEY (id),
  constraint signing_keys_public_key CHECK (((public_key IS NOT NULL) = (algorithm = 'ED25519'::text)))
);
CREATE INDEX signing_keys_old_format ON dispatcher.signing_keys USING btree (project_id) WHERE (SUBSTRING(sealed_secret FROM 1 FOR 1) = '\x01'::bytea);
CREATE INDEX signing_keys_project ON dispatcher.signing_keys USING btree (project_id, create_time DESC, id DESC);

create table dispatcher.signing_keys_version (
  only_row boolean not null default true,
  version bigint not null,
  constraint signing_keys_version_only_row_check CHECK (only_row),
  constraint signing_keys_version_pkey PRIMARY KEY (only_row)
);

create table dispatcher.target_secret_counts (
  project_id text not null,
  secret_count integer not null,
  constraint target_secret_counts_pkey PRIMARY KEY (project_id)
);

create table dispatcher.target_secrets (
  project_id text not null,
  id text not null,
  sealed_secret bytea not null,
  create_time timestamp with time zone not null,
  constraint target_secrets_pkey PRIMARY KEY (project_id, id)
);

create table dispatcher.triggers (
  id text collate "C" not null,
  fire_time timestamp with time zone not null,
  effective_time timestamp with time zone not null,
  due_time timestamp with time zone not null,
  project_id text not null,
  job_uid text not null,
  job_name text not null,
  revision integer not null,
  kind text not null,
  state text not null,
  seq integer not null,
  previous_fire_time timestamp with time zone,
  next_fire_time timestamp with time zone,
  payload text,
  attempt_count integer not null default 0,
  owner text collate "C",
  cancel_time timestamp with time zone,
  create_time timestamp with time zone not null,
  start_time timestamp with time zone,
  end_time timestamp with time zone,
  previous_skipped integer not null default 0,
  previous_missed integer not null default 0,
  zone_data text not null default ''::text,
  attempt_base integer not null default 0,
  rare_end text generated always as (
CASE
    WHEN (state = ANY (ARRAY['EXHAUSTED'::text, 'CANCELLED'::text])) THEN state
    ELSE NULL::text
END) stored,
  first_attempt_id text,
  first_duration_ms integer,
  first_status_code integer,
  first_response_body text,
  redeliver_time timestamp with time zone,
  first_timing text,
  first_response_headers text,
  waiting_for text,
  waiting_since timestamp with time zone,
  waited_until timestamp with time zone,
  acknowledged_attempt integer,
  acknowledgement text,
  acknowledgement_message text,
  extended_time timestamp with time zone,
  constraint triggers_check CHECK (((end_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'EXHAUSTED'::text, 'CANCELLED'::text])))),
  constraint triggers_pkey PRIMARY KEY (id, fire_time)
) partition by range (fire_time);
CREATE INDEX triggers_job ON ONLY dispatcher.triggers USING btree (job_uid, fire_time DESC, id DESC);
CREATE INDEX triggers_project ON ONLY dispatcher.triggers USING btree (project_id, fire_time DESC, id DESC);
CREATE INDEX triggers_rare_end_job ON ONLY dispatcher.triggers USING btree (job_uid, rare_end, fire_time DESC, id DESC) WHERE (rare_end IS NOT NULL);
CREATE INDEX triggers_rare_end_project ON ONLY dispatcher.triggers USING btree (project_id, rare_end, fire_time DESC, id DESC) WHERE (rare_end IS NOT NULL);

CREATE OR REPLACE FUNCTION dispatcher.audit_triggers(of_project_id text, of_job_uid text, from_time timestamp with time zone, to_time timestamp with time zone, most integer)
 RETURNS TABLE(id text, fire_time timestamp with time zone, effective_time timestamp with time zone, revision integer, kind text, seq integer, previous_fire_time timestamp with time zone, next_fire_time timestamp with time zone, previous_skipped integer, previous_missed integer, create_time timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select t.id, t.fire_time, t.effective_time, t.revision, t.kind, t.seq, t.previous_fire_time, t.next_fire_time,
         t.previous_skipped, t.previous_missed, t.create_time
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time between from_time and to_time
     and t.kind <> 'MANUAL'
   order by t.fire_time limit most
$function$;

CREATE OR REPLACE FUNCTION dispatcher.busy_jobs(of_job_uids text[])
 RETURNS SETOF text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.live_triggers l where l.job_uid = w.uid and l.kind <> 'BACKFILL')
$function$;

CREATE OR REPLACE FUNCTION dispatcher.cancel(of_job_uid text, at_time timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
begin
  select array_agg(t.id), min(t.fire_time), max(t.fire_time) into locked_ids, first_time, last_time
    from (select l.id, l.fire_time from dispatcher.live_triggers l
           where l.job_uid = of_job_uid order by l.fire_time) as l
   cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                        where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null for update) as t;
  with changed as (
    update dispatcher.triggers t
       set state = case when t.state in ('RUNNING', 'ACCEPTED') then t.state else 'CANCELLED' end,
           end_time = case when t.state in ('RUNNING', 'ACCEPTED') then null else at_time end,
           owner = case when t.state in ('RUNNING', 'ACCEPTED') then t.owner end,
           cancel_time = at_time
     where t.id = any (locked_ids) and t.fire_time between first_time and last_time
    returning t.id, t.end_time
  )
  delete from dispatcher.live_triggers l
   where l.id = any (array(select c.id from changed c where c.end_time is not null));
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.catchup_end(of_project_id text)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
declare
  live record;
  latest timestamptz;
begin
  for live in
    select l.id, l.fire_time, l.due_time from dispatcher.live_triggers l
     where l.project_id = of_project_id and l.kind = 'CATCHUP' order by l.due_time desc
  loop
    exit when live.due_time <= latest;
    latest := greatest(latest, (
      select t.effective_time from dispatcher.triggers t
       where t.id = live.id and t.fire_time = live.fire_time and t.cancel_time is null));
  end loop;
  return latest;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.count_replayable(of_project_id text, of_job_uid text, of_state text, from_time timestamp with time zone, before_time timestamp with time zone, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
begin
  if of_job_uid is null then
    return (select count(*) from (select from dispatcher.triggers t
                                   where t.project_id = of_project_id and t.rare_end = of_state
                                     and t.fire_time >= from_time and t.fire_time < before_time limit most) as t);
  end if;
  return (select count(*) from (select from dispatcher.triggers t
                                 where t.job_uid = of_job_uid and t.rare_end = of_state and t.project_id = of_project_id
                                   and t.fire_time >= from_time and t.fire_time < before_time limit most) as t);
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.discard(of_project_id text, of_job_uid text, of_kind text, from_time timestamp with time zone, before_time timestamp with time zone, at_time timestamp with time zone, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
declare
  discarded integer;
begin
  with wanted as materialized (
    select t.id, t.fire_time
      from (select l.id, l.fire_time from dispatcher.live_triggers l
             where l.project_id = of_project_id and (of_job_uid is null or l.job_uid = of_job_uid)
               and (of_kind is null or l.kind = of_kind) and l.fire_time >= from_time and l.fire_time < before_time
             order by l.job_uid, l.fire_time) as l
     cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                          where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null
                            and (t.cancel_time is null or t.state = 'ACCEPTED')
                            for update) as t
     limit most
  ), changed as (
    update dispatcher.triggers t
       set state = case when t.state = 'RUNNING' then t.state else 'CANCELLED' end,
           end_time = case when t.state = 'RUNNING' then null else at_time end,
           owner = case when t.state = 'RUNNING' then t.owner end,
           cancel_time = at_time
      from wanted
     where t.id = wanted.id and t.fire_time = wanted.fire_time
    returning t.id, t.end_time
  ), gone as (
    delete from dispatcher.live_triggers l
     where l.id = any (array(select c.id from changed c where c.end_time is not null))
  )
  select count(*) into discarded from changed;
  return discarded;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.drop_partition(month_start timestamp with time zone, at_time timestamp with time zone, grace_ms integer)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET lock_timeout TO '50ms'
AS $function$
declare
  month_end timestamptz := (month_start at time zone 'UTC' + interval '1 month') at time zone 'UTC';
  month text := to_char(month_start at time zone 'UTC', 'YYYY_MM');
  is_kept boolean;
  name text;
begin
  if month_start <> date_trunc('month', month_start, 'UTC') or month_end > at_time - interval '1 day' then
    raise exception 'The partition of % is not one to drop at %.', month_start, at_time using errcode = '22023';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('dispatcher.drop_partition')) then
    return 'BUSY';
  end if;
  if not exists (select from pg_class c
                  where c.relnamespace = 'dispatcher'::regnamespace and c.relname = 'triggers_' || month) then
    return 'MISSING';
  end if;
  execute format(
    'select exists (select from dispatcher.%I t left join dispatcher.retention r on r.project_id = t.project_id
                     where dispatcher.is_expired(t.state, t.fire_time, t.end_time, r.days,
                             dispatcher.known_floor(r.set_time, r.floor_time, r.known_floor_time, $2), $1) is not true)',
    'triggers_' || month) into is_kept using at_time, grace_ms;
  if is_kept then
    return 'KEPT';
  end if;
  lock table only dispatcher.triggers, only dispatcher.attempts in access exclusive mode;
  if exists (select from dispatcher.retention r
              cross join lateral (select from dispatcher.live_triggers l
                                   where l.project_id = r.project_id and l.fire_time >= month_start and l.fire_time < month_end
                                   limit 1) as l) then
    return 'KEPT';
  end if;
  foreach name in array array['triggers_' || month, 'attempts_' || month] loop
    execute format('drop table if exists dispatcher.%I', name);
  end loop;
  return 'DROPPED';
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.exhausted_since_success(of_project_id text, of_job_uid text, from_time timestamp with time zone, at_fire_time timestamp with time zone, most integer)
 RETURNS TABLE(exhausted_count integer, first_time timestamp with time zone)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  success_time timestamptz;
begin
  select max(n.end_time) into success_time from (
    (select * from dispatcher.triggers t where t.job_uid = of_job_uid order by t.fire_time desc, t.id desc limit 5000)
    union all
    (select * from dispatcher.triggers t where t.job_uid = of_job_uid and t.fire_time <= at_fire_time
      order by t.fire_time desc, t.id desc limit 5000)) as n
   where n.state = 'SUCCEEDED' and n.end_time > from_time and n.project_id = of_project_id;
  if success_time is null then
    return;
  end if;
  return query
    select count(*)::integer, min(e.end_time)
      from (select t.end_time from dispatcher.triggers t
             where t.job_uid = of_job_uid and t.rare_end = 'EXHAUSTED' and t.end_time > success_time
             order by t.fire_time desc, t.id desc limit most) as e;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.fail_if_past(deadline timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog'
AS $function$
begin
  if clock_timestamp() > deadline then
    raise exception 'the deadline % has passed', deadline using errcode = 'serialization_failure';
  end if;
  return true;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.find_trigger(of_project_id text, of_trigger_id text)
 RETURNS TABLE(fire_time timestamp with time zone, job_uid text, job_name text, state text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  with found as materialized (
    select t.fire_time, t.job_uid, t.job_name, t.state, t.project_id
      from dispatcher.triggers t where t.id = of_trigger_id
  )
  select f.fire_time, f.job_uid, f.job_name, f.state from found f where f.project_id = of_project_id
$function$;

CREATE OR REPLACE FUNCTION dispatcher.handed_over(of_job_uids text[], last_seqs integer[], from_times timestamp with time zone[])
 RETURNS TABLE(job_uid text, fire_time timestamp with time zone, seq integer)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select t.job_uid, t.fire_time, t.seq
    from unnest(of_job_uids, last_seqs, from_times) as w (uid, last_seq, from_time)
    join dispatcher.triggers t on t.job_uid = w.uid and t.fire_time >= w.from_time and t.seq > w.last_seq
   where t.kind in ('SCHEDULED', 'CATCHUP')
   order by t.job_uid, t.fire_time
$function$;

CREATE OR REPLACE FUNCTION dispatcher.is_expired(of_state text, fire_time timestamp with time zone, end_time timestamp with time zone, of_days integer, floor_time timestamp with time zone, at_time timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select fire_time < floor_time
     and end_time < at_time - make_interval(hours => 24 * case when of_state = 'EXHAUSTED' then least(2 * of_days, 400) else of_days end)
$function$;

CREATE OR REPLACE FUNCTION dispatcher.known_floor(set_time timestamp with time zone, floor_time timestamp with time zone, known_floor_time timestamp with time zone, grace_ms integer)
 RETURNS timestamp with time zone
 LANGUAGE sql
AS $function$
  select case when set_time < clock_timestamp() - make_interval(secs => grace_ms / 1000.0) then floor_time else known_floor_time end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.last_attempt(of_project_id text, of_trigger_id text, of_fire_time timestamp with time zone)
 RETURNS TABLE(outcome text, status_code integer, error text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select a.outcome, a.status_code, a.error
    from (select a.number, a.outcome, a.status_code, a.error from dispatcher.attempts a
           where a.trigger_id = of_trigger_id and a.fire_time = of_fire_time
           union all
          select 1, 'SUCCEEDED', t.first_status_code, '' from dispatcher.triggers t
           where t.id = of_trigger_id and t.fire_time = of_fire_time and t.first_attempt_id is not null) as a
   where exists (select from dispatcher.triggers t
                  where t.id = of_trigger_id and t.fire_time = of_fire_time and t.project_id = of_project_id)
   order by a.number desc limit 1
$function$;

CREATE OR REPLACE FUNCTION dispatcher.lateness(of_project_id text, trigger_ids text[], fire_times timestamp with time zone[])
 RETURNS TABLE(id text, total_ms bigint, theirs_ms bigint)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select l.id, l.total_ms, least(l.total_ms, greatest(0, l.retried_ms - l.lost_ms) + l.waited_ms)
    from (
      select t.id,
             greatest(0, floor(extract(epoch from a.latest_time - t.effective_time) * 1000))::bigint as total_ms,
             floor(extract(epoch from a.latest_time - t.start_time) * 1000)::bigint as retried_ms,
             floor(a.lost_seconds * 1000)::bigint as lost_ms,
             case when t.waited_until > t.effective_time
                  then greatest(0, floor(extract(epoch from least(t.waited_until, t.start_time)
                                                            - greatest(t.waiting_since, t.effective_time)) * 1000))
                  else 0 end::bigint as waited_ms
        from unnest(trigger_ids, fire_times) as w (id, fire_time)
       cross join lateral (select t.id, t.effective_time, t.start_time, t.attempt_base, t.waiting_since, t.waited_until,
                                  case when t.state = 'RUNNING' then t.due_time end as running_since
                             from dispatcher.triggers t
                            where t.id = w.id and t.fire_time = w.fire_time and t.project_id = of_project_id
                              and t.start_time is not null offset 0) as t
       cross join lateral (
         select greatest(t.start_time, max(n.start_time), t.running_since) as latest_time,
                coalesce(sum(extract(epoch from coalesce(n.next_time, t.running_since) - n.start_time))
                           filter (where n.is_lost), 0) as lost_seconds
           from (select a.start_time, lead(a.start_time) over (order by a.number) as next_time,
                        -- The error that recovery gives such an attempt (dispatcher/recovery).
                        a.outcome = 'UNKNOWN' and starts_with(a.error, 'The process that made this attempt ended')
                          as is_lost
                   from dispatcher.attempts a
                  where a.trigger_id = w.id and a.fire_time = w.fire_time and a.number > t.attempt_base) as n
       ) as a
    ) as l
$function$;

CREATE OR REPLACE FUNCTION dispatcher.ledger_triggers(of_project_id text, of_job_uid text, from_time timestamp with time zone, to_time timestamp with time zone, most integer)
 RETURNS TABLE(id text, fire_time timestamp with time zone, effective_time timestamp with time zone, job_name text, revision integer, kind text, state text, seq integer, previous_skipped integer, previous_missed integer, attempt_count integer, create_time timestamp with time zone, start_time timestamp with time zone, end_time timestamp with time zone, zone_data text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select t.id, t.fire_time, t.effective_time, t.job_name, t.revision, t.kind, t.state, t.seq, t.previous_skipped,
         t.previous_missed, t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time between from_time and to_time
     and t.kind <> 'MANUAL'
   order by t.fire_time limit most
$function$;

CREATE OR REPLACE FUNCTION dispatcher.ledger_triggers_at(of_project_id text, of_job_uid text, fire_times timestamp with time zone[])
 RETURNS TABLE(id text, fire_time timestamp with time zone, effective_time timestamp with time zone, due_time timestamp with time zone, job_name text, revision integer, kind text, state text, seq integer, attempt_count integer, create_time timestamp with time zone, start_time timestamp with time zone, end_time timestamp with time zone, zone_data text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select t.id, t.fire_time, t.effective_time, t.due_time, t.job_name, t.revision, t.kind, t.state, t.seq,
         t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
     and t.kind <> 'MANUAL'
$function$;

CREATE OR REPLACE FUNCTION dispatcher.list_signals(most integer, without_jobs text[])
 RETURNS TABLE(trigger_id text, project_id text, job_uid text, fire_time timestamp with time zone, revision integer, kind text, end_time timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select s.trigger_id, s.project_id, s.job_uid, s.fire_time, s.revision, s.kind, s.end_time
    from dispatcher.signals s where s.job_uid <> all (without_jobs) order by s.end_time, s.trigger_id limit most
$function$;

CREATE OR REPLACE FUNCTION dispatcher.live_jobs(of_job_uids text[])
 RETURNS SETOF text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.live_triggers l where l.job_uid = w.uid)
$function$;

CREATE OR REPLACE FUNCTION dispatcher.make_partition(of_table text, month_start timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET lock_timeout TO '50ms'
AS $function$
declare
  month_end timestamptz := (month_start at time zone 'UTC' + interval '1 month') at time zone 'UTC';
  name text := of_table || '_' || to_char(month_start at time zone 'UTC', 'YYYY_MM');
  is_taken boolean;
begin
  if of_table not in ('triggers', 'attempts') or month_start <> date_trunc('month', month_start, 'UTC') then
    raise exception 'There is no partition of % from % on.', of_table, month_start using errcode = '22023';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('dispatcher.make_partition')) then
    return 'BUSY';
  end if;
  -- Looked up under the lock, because another dispatcher may just have made it. to_regclass may answer from before that.
  if exists (select from pg_class c where c.relnamespace = 'dispatcher'::regnamespace and c.relname = name) then
    return 'EXISTS';
  end if;
  execute format('select exists (select from dispatcher.%I where fire_time >= $1 and fire_time < $2)',
                 of_table || '_default') into is_taken using month_start, month_end;
  if is_taken then
    return 'IN_DEFAULT';
  end if;
  execute format(
    'create table dispatcher.%I (like dispatcher.%I including defaults including generated including constraints including storage, '
      'constraint month check (fire_time >= %L and fire_time < %L))',
    name, of_table, month_start, month_end);
  if of_table = 'triggers' then
    execute format('alter table dispatcher.%I set (fillfactor = 50)', name);
  end if;
  execute format('alter table dispatcher.%I attach partition dispatcher.%I for values from (%L) to (%L)',
                 of_table, name, month_start, month_end);
  execute format('alter table dispatcher.%I drop constraint month', name);
  return 'MADE';
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.note_alert(of_job_uid text, of_kind text, of_cause text, at_time timestamp with time zone, of_reason text DEFAULT ''::text, of_first_fire_time timestamp with time zone DEFAULT NULL::timestamp with time zone, of_last_fire_time timestamp with time zone DEFAULT NULL::timestamp with time zone, of_fire_count integer DEFAULT 0, of_trigger_id text DEFAULT NULL::text, of_attempts integer DEFAULT NULL::integer)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  with wanted as materialized (
    select w.project_id, w.is_own, w.is_loose
      from (select a.project_id, not a.of_project as is_own, false as is_loose from dispatcher.alert_jobs a where a.job_uid = of_job_uid
            union all
            select p.project_id, false, true
              from scheduler.jobs j join dispatcher.project_alerts p on p.project_id = j.project_id
             where j.uid = of_job_uid
               and not exists (select from dispatcher.alert_jobs a where a.job_uid = of_job_uid)) as w
     where (w.is_own or not exists (select from dispatcher.project_alerts p
                                     where p.project_id = w.project_id and p.full_until > clock_timestamp()))
       and (select count(*) from (select from dispatcher.alert_facts f where f.job_uid = of_job_uid limit 200) as f) < 200
  ), crowded as materialized (
    select w.project_id from wanted w
     where not w.is_own
       and (select count(*) from (select from dispatcher.alert_facts f
                                   where f.project_id = w.project_id limit 2000) as f) >= 2000
  ), marked as (
    update dispatcher.project_alerts p set full_until = clock_timestamp() + interval '5 s'
     where p.project_id = (select q.project_id from dispatcher.project_alerts q
                            where q.project_id = (select c.project_id from crowded c) for no key update skip locked)
  )
  insert into dispatcher.alert_facts (job_uid, project_id, kind, cause, fact_time, first_fire_time, last_fire_time, fire_count,
         trigger_id, attempts, reason, is_loose)
  select of_job_uid, w.project_id, of_kind, of_cause, at_time, of_first_fire_time, of_last_fire_time, of_fire_count,
         of_trigger_id, of_attempts, left(of_reason, 500), w.is_loose
    from wanted w where not exists (select from crowded)
  on conflict (job_uid, kind, cause) do nothing
$function$;

CREATE OR REPLACE FUNCTION dispatcher.note_disabled()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
begin
  perform dispatcher.note_alert(new.uid, 'DISABLED', new.disable_reason::text, clock_timestamp(), new.pause_note);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.note_failure(of_job_uid text, of_state text, of_trigger_id text, of_attempt integer, of_attempts integer, of_end_time timestamp with time zone, of_fire_time timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select dispatcher.note_alert(of_job_uid, case of_state when 'EXHAUSTED' then 'EXHAUSTED' else 'FAILING' end,
    of_trigger_id || '/' || of_attempt, coalesce(of_end_time, clock_timestamp()), '', of_fire_time, of_fire_time, 1,
    of_trigger_id, of_attempts)
$function$;

CREATE OR REPLACE FUNCTION dispatcher.note_missed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
declare
  first_time timestamptz := new.first_fire_time;
  missed integer := new.fire_count;
begin
  -- A range grows at its end. Which fire time follows the former end is not known here.
  if tg_op = 'UPDATE' then
    first_time := null;
    missed := new.fire_count - old.fire_count;
  end if;
  perform dispatcher.note_alert(new.job_uid, 'MISSED', extract(epoch from new.last_fire_time)::text, clock_timestamp(),
    new.reason, first_time, new.last_fire_time, missed);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.oldest_snapshot(OUT kind text, OUT pid integer, OUT name text, OUT since_time timestamp with time zone, OUT age_ms bigint)
 RETURNS SETOF record
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select h.kind, h.pid, h.name, h.since_time, (extract(epoch from clock_timestamp() - h.since_time) * 1000)::bigint
    from (select 'SESSION', a.pid, a.application_name, a.xact_start
            from pg_stat_activity a
           where a.datname = current_database() and (a.backend_xmin is not null or a.backend_xid is not null)
             and a.backend_type <> 'autovacuum worker' and a.pid <> pg_backend_pid()
           union all
          select 'PREPARED', null, p.gid, p.prepared from pg_prepared_xacts p where p.database = current_database()
           union all
          select 'SLOT', null, s.slot_name::text, (to_jsonb(s) ->> 'inactive_since')::timestamptz
            from pg_replication_slots s
           where s.xmin is not null and not s.active) as h (kind, pid, name, since_time)
   where h.since_time is not null
   order by h.since_time limit 1
$function$;

CREATE OR REPLACE FUNCTION dispatcher.redeliver(of_project_id text, of_job_uid text, fire_times timestamp with time zone[], force boolean, at_time timestamp with time zone, by_revision integer, by_job_name text)
 RETURNS SETOF timestamp with time zone
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  with kept as (
    insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, status_code,
           response_body)
    select t.id, t.fire_time, 1, t.first_attempt_id, 'SUCCEEDED', t.start_time, t.first_duration_ms, t.first_status_code,
           t.first_response_body
      from dispatcher.triggers t
     where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
       and t.kind <> 'MANUAL' and t.end_time is not null and force and t.first_attempt_id is not null
    on conflict (trigger_id, number, fire_time) do nothing
  ), changed as (
    update dispatcher.triggers t
       set state = 'PENDING', effective_time = at_time, due_time = at_time, redeliver_time = at_time, end_time = null,
           start_time = null, cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = by_revision,
           job_name = by_job_name, first_attempt_id = null, first_duration_ms = null, first_status_code = null,
           first_response_body = null
     where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
       and t.kind <> 'MANUAL' and t.end_time is not null and (force or t.state <> 'SUCCEEDED')
    returning t.id, t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.owner, t.due_time
  ), queued as (
    insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
    select c.id, c.fire_time, c.project_id, c.job_uid, c.kind, c.attempt_base, c.owner, c.due_time from changed c
  )
  select c.fire_time from changed c
$function$;

CREATE OR REPLACE FUNCTION dispatcher.replay(of_project_id text, trigger_ids text[], fire_times timestamp with time zone[], revisions integer[], job_names text[], of_states text[], ended_by timestamp with time zone, at_time timestamp with time zone)
 RETURNS SETOF text
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  with wanted as materialized (
    select t.id, t.fire_time, w.revision, w.job_name
      from unnest(trigger_ids, fire_times, revisions, job_names) as w (id, fire_time, revision, job_name)
     cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                          where t.id = w.id and t.fire_time = w.fire_time and t.project_id = of_project_id
                            and t.end_time <= ended_by and t.state = any (of_states) for update) as t
  ), kept as (
    insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, status_code,
           response_body)
    select t.id, t.fire_time, 1, t.first_attempt_id, 'SUCCEEDED', t.start_time, t.first_duration_ms, t.first_status_code,
           t.first_response_body
      from wanted
     cross join lateral (select * from dispatcher.triggers t
                          where t.id = wanted.id and t.fire_time = wanted.fire_time
                            and t.first_attempt_id is not null offset 0) as t
    on conflict (trigger_id, number, fire_time) do nothing
  ), changed as (
    update dispatcher.triggers t
       set state = 'PENDING', effective_time = at_time, due_time = at_time, redeliver_time = at_time, end_time = null,
           start_time = null, cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = wanted.revision,
           job_name = wanted.job_name, first_attempt_id = null, first_duration_ms = null, first_status_code = null,
           first_response_body = null
      from wanted
     where t.id = wanted.id and t.fire_time = wanted.fire_time
    returning t.id, t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.owner, t.due_time
  ), queued as (
    insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
    select c.id, c.fire_time, c.project_id, c.job_uid, c.kind, c.attempt_base, c.owner, c.due_time from changed c
  )
  select c.id from changed c
$function$;

CREATE OR REPLACE FUNCTION dispatcher.replayable(of_project_id text, of_job_uid text, of_state text, from_time timestamp with time zone, before_time timestamp with time zone, after_time timestamp with time zone, after_id text, most integer)
 RETURNS TABLE(id text, fire_time timestamp with time zone, job_uid text, end_time timestamp with time zone)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
begin
  if of_job_uid is null then
    return query
      select t.id, t.fire_time, t.job_uid, t.end_time
        from (select * from dispatcher.triggers t
               where t.project_id = of_project_id and t.rare_end = of_state
                 and t.fire_time >= greatest(from_time, after_time) and t.fire_time < before_time
                 and (t.fire_time, t.id) > (after_time, after_id)
               order by t.fire_time, t.id limit 1000) as t
       order by t.fire_time, t.id limit most;
  else
    return query
      select t.id, t.fire_time, t.job_uid, t.end_time
        from (select * from dispatcher.triggers t
               where t.job_uid = of_job_uid and t.rare_end = of_state
                 and t.fire_time >= greatest(from_time, after_time) and t.fire_time < before_time
                 and (t.fire_time, t.id) > (after_time, after_id)
               order by t.fire_time, t.id limit 1000) as t
       where t.project_id = of_project_id
       order by t.fire_time, t.id limit most;
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.retention_floor(of_project_id text)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select coalesce((select r.floor_time from dispatcher.retention r where r.project_id = of_project_id), '-infinity')
$function$;

CREATE OR REPLACE FUNCTION dispatcher.take_signals(end_times timestamp with time zone[], trigger_ids text[])
 RETURNS SETOF text
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  delete from dispatcher.signals s
   where s.ctid = any (array(
     select t.ctid from unnest(end_times, trigger_ids) as w (end_time, trigger_id)
      cross join lateral (select n.ctid from dispatcher.signals n
                           where n.end_time = w.end_time and n.trigger_id = w.trigger_id
                             for update skip locked) as t))
  returning s.trigger_id
$function$;

CREATE OR REPLACE FUNCTION dispatcher.unwatch_job()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
begin
  update dispatcher.alert_jobs a set look_time = new.create_time, held_until = '-infinity'
   where a.job_uid = new.job_uid and not a.of_project;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.use_master_key(new_id text, new_check_value bytea)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET lock_timeout TO '500ms'
AS $function$
declare
  present text := (select key_id from dispatcher.master_key);
begin
  if present = new_id or exists (
    select from dispatcher.instances where lease_until > now() and master_key_id is distinct from new_id
  ) then
    return present;
  end if;
  begin
    lock table dispatcher.instances in share row exclusive mode;
  exception when lock_not_available then
    return present;
  end;
  if exists (
    select from dispatcher.instances where lease_until > now() and master_key_id is distinct from new_id
  ) then
    return present;
  end if;
  update dispatcher.master_key set key_id = new_id, check_value = new_check_value, create_time = now();
  return new_id;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.watch_job()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
begin
  insert into dispatcher.alert_jobs as a (job_uid, project_id, within_ms, look_time, held_until, watched_until)
  select new.job_uid, j.project_id, (new.facets #>> '{alerts,withinMs}')::bigint, new.create_time, '-infinity',
         new.create_time
    from scheduler.jobs j where j.uid = new.job_uid
  on conflict (job_uid) do update
     set within_ms = excluded.within_ms, look_time = excluded.look_time, held_until = excluded.held_until, of_project = false,
         watched_until = case when a.within_ms is null then excluded.watched_until else a.watched_until end;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.watch_new_jobs()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
begin
  -- Without this line, each statement that creates a job would pay for the one below.
  if not exists (select from dispatcher.project_alerts p where p.page_time is not null) then return null; end if;
  insert into dispatcher.alert_jobs (job_uid, project_id, within_ms, look_time, held_until, watched_until, of_project)
  select j.uid, j.project_id, p.within_ms, j.create_time + random() * interval '10 s', '-infinity', j.create_time, true
    from added j join dispatcher.project_alerts p on p.project_id = j.project_id and p.within_ms is not null
   order by j.uid
  on conflict (job_uid) do nothing;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION dispatcher.withdraw(of_job_uid text, after_time timestamp with time zone)
 RETURNS TABLE(kept boolean, fire_time timestamp with time zone, seq integer, previous_fire_time timestamp with time zone, previous_skipped integer, previous_missed integer)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
  started_time timestamptz;
begin
  -- The rows are locked first, so that none starts between the looking and the taking.
  select array_agg(t.id), min(t.fire_time), max(t.fire_time) into locked_ids, first_time, last_time
    from (select l.id, l.fire_time from dispatcher.live_triggers l
           where l.job_uid = of_job_uid and l.kind = 'SCHEDULED' order by l.fire_time) as l
   cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                        where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null
                          and t.effective_time > after_time and t.redeliver_time is null
                          for update) as t;
  -- What is earlier than one that has started stays: its dispatcher is late with it. One that was made due again had ended.
  select max(t.fire_time) into started_time from dispatcher.triggers t
   where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     and (t.state <> 'PENDING' or t.redeliver_time is not null);
  return query
    with gone as (
      delete from dispatcher.triggers t
       where t.id = any (locked_ids) and t.fire_time between first_time and last_time
         and t.state = 'PENDING' and (started_time is null or t.fire_time > started_time)
      returning t.id, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
    ), taken as (
      delete from dispatcher.live_triggers l where l.id = any (array(select g.id from gone g))
    )
    select false, g.fire_time, g.seq, g.previous_fire_time, g.previous_skipped, g.previous_missed from gone g;
  return query
    select true, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
      from dispatcher.triggers t
     where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     order by t.fire_time desc limit 1;
end
$function$;

create schema gateway;

create table gateway.api_keys (
  id text not null,
  project_id text not null,
  display_name text not null,
  secret_hash bytea not null,
  create_time timestamp with time zone not null,
  secret_prefix text not null default ''::text,
  last_use_time timestamp with time zone,
  expire_time timestamp with time zone,
  revoke_time timestamp with time zone,
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_project_id_fkey FOREIGN KEY (project_id) REFERENCES gateway.projects(id),
  constraint api_keys_secret_hash_key UNIQUE (secret_hash)
);
CREATE INDEX api_keys_project ON gateway.api_keys USING btree (project_id, id);

create table gateway.plugin_credentials (
  project_id text not null,
  kind text not null,
  number integer not null,
  username text not null,
  password_sha256 bytea,
  create_time timestamp with time zone not null,
  expire_time timestamp with time zone,
  constraint plugin_credentials_pkey PRIMARY KEY (project_id, kind, number),
  constraint plugin_credentials_project_id_kind_fkey FOREIGN KEY (project_id, kind) REFERENCES gateway.plugins(project_id, kind)
);

create table gateway.plugins (
  project_id text not null,
  kind text not null,
  state text not null,
  state_reason text not null default ''::text,
  is_usable boolean not null default false,
  limits jsonb not null,
  topics jsonb not null default '[]'::jsonb,
  deleted_topics jsonb not null default '[]'::jsonb,
  last_credential integer not null default 0,
  is_read_only boolean not null default false,
  endpoint text not null default ''::text,
  is_forced boolean not null default false,
  is_cut_off boolean not null default false,
  create_time timestamp with time zone not null,
  data_remove_time timestamp with time zone,
  is_data_removed boolean not null default false,
  used_bytes bigint not null default 0,
  used_keys bigint not null default 0,
  used_topics integer not null default 0,
  used_partitions integer not null default 0,
  connections integer not null default 0,
  measure_time timestamp with time zone,
  reconcile_time timestamp with time zone,
  next_measure_time timestamp with time zone,
  failures integer not null default 0,
  lease_owner text,
  lease_end timestamp with time zone,
  constraint plugins_kind_check CHECK ((kind = ANY (ARRAY['REDIS'::text, 'KAFKA'::text]))),
  constraint plugins_pkey PRIMARY KEY (project_id, kind),
  constraint plugins_project_id_fkey FOREIGN KEY (project_id) REFERENCES gateway.projects(id),
  constraint plugins_state_check CHECK ((state = ANY (ARRAY['PROVISIONING'::text, 'ENABLED'::text, 'DISABLING'::text, 'DISABLED'::text, 'FAILED'::text])))
);
CREATE INDEX plugins_measure ON gateway.plugins USING btree (kind, next_measure_time) WHERE (next_measure_time IS NOT NULL);
CREATE INDEX plugins_reconcile ON gateway.plugins USING btree (kind, reconcile_time) WHERE (reconcile_time IS NOT NULL);

create table gateway.projects (
  id text not null,
  display_name text not null,
  create_time timestamp with time zone not null,
  constraint projects_pkey PRIMARY KEY (id)
);

create schema public;

create table public.easycron_installation (
  only_row boolean not null default true,
  role_prefix text not null,
  constraint easycron_installation_only_row_check CHECK (only_row),
  constraint easycron_installation_pkey PRIMARY KEY (only_row)
);

create table public.easycron_migrations (
  number integer not null,
  name text not null,
  checksum text not null,
  applied_time timestamp with time zone not null default now(),
  constraint easycron_migrations_pkey PRIMARY KEY (number)
);

create schema scheduler;

create table scheduler.audits (
  job_uid text not null,
  audited_until timestamp with time zone not null,
  audit_time timestamp with time zone,
  constraint audits_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint audits_pkey PRIMARY KEY (job_uid)
);
CREATE INDEX audits_next ON scheduler.audits USING btree (audit_time) WHERE (audit_time IS NOT NULL);

create table scheduler.calendar_versions (
  calendar_uid text not null,
  version integer not null,
  spec jsonb not null,
  create_time timestamp with time zone not null,
  zone_data text not null default ''::text,
  constraint calendar_versions_calendar_uid_fkey FOREIGN KEY (calendar_uid) REFERENCES scheduler.calendars(uid),
  constraint calendar_versions_pkey PRIMARY KEY (calendar_uid, version)
);

create table scheduler.calendars (
  uid text not null,
  project_id text not null,
  name text not null,
  version integer not null,
  create_time timestamp with time zone not null,
  update_time timestamp with time zone not null,
  delete_time timestamp with time zone,
  constraint calendars_pkey PRIMARY KEY (uid)
);
CREATE UNIQUE INDEX calendars_live_name ON scheduler.calendars USING btree (project_id, name COLLATE "C") WHERE (delete_time IS NULL);
CREATE INDEX calendars_name ON scheduler.calendars USING btree (project_id, name);

create table scheduler.catchup_slots (
  project_id text not null,
  next_time timestamp with time zone not null,
  constraint catchup_slots_pkey PRIMARY KEY (project_id)
);

create table scheduler.epochs (
  job_uid text not null,
  epoch integer not null,
  state text not null,
  revision integer not null,
  after_time timestamp with time zone not null,
  end_time timestamp with time zone,
  change_time timestamp with time zone not null,
  note text not null default ''::text,
  constraint epochs_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint epochs_pkey PRIMARY KEY (job_uid, epoch),
  constraint epochs_state_check CHECK ((state = ANY (ARRAY['ACTIVE'::text, 'PAUSED'::text, 'DISABLED'::text, 'DELETED'::text])))
);

create table scheduler.failing_jobs (
  job_uid text not null,
  project_id text not null,
  exhausted_count integer not null default 0,
  first_time timestamp with time zone,
  last_time timestamp with time zone,
  restart_time timestamp with time zone not null default '-infinity'::timestamp with time zone,
  from_revision integer not null default 0,
  pending jsonb,
  constraint failing_jobs_pkey PRIMARY KEY (job_uid)
);
CREATE INDEX failing_jobs_idle ON scheduler.failing_jobs USING btree (restart_time) WHERE ((exhausted_count = 0) AND (pending IS NULL));
CREATE INDEX failing_jobs_pending ON scheduler.failing_jobs USING btree (job_uid) WHERE (pending IS NOT NULL);

create table scheduler.job_calendars (
  job_uid text not null,
  calendar_uid text not null,
  version integer not null,
  constraint job_calendars_calendar_uid_fkey FOREIGN KEY (calendar_uid) REFERENCES scheduler.calendars(uid),
  constraint job_calendars_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint job_calendars_pkey PRIMARY KEY (job_uid, calendar_uid)
);
CREATE INDEX job_calendars_behind ON scheduler.job_calendars USING btree (calendar_uid, version, job_uid);

create table scheduler.job_facets (
  project_id text not null,
  facet text not null,
  value text not null,
  name text collate "C" not null,
  job_uid text not null,
  constraint job_facets_pkey PRIMARY KEY (project_id, facet, value, name, job_uid)
);

create table scheduler.jobs (
  uid text not null,
  project_id text not null,
  name text not null,
  state text not null,
  revision integer not null,
  epoch integer not null,
  next_fire_time timestamp with time zone,
  last_fire_time timestamp with time zone,
  last_seq integer not null default 0,
  pause_note text not null default ''::text,
  create_time timestamp with time zone not null,
  update_time timestamp with time zone not null,
  wake_time timestamp with time zone,
  after_time timestamp with time zone not null default now(),
  pause_until timestamp with time zone,
  carry jsonb not null default '{}'::jsonb,
  delete_finished boolean not null default false,
  waits_for_end boolean not null default false,
  disable_reason jsonb,
  constraint jobs_cursor_check CHECK (((state = 'ACTIVE'::text) OR (next_fire_time IS NULL))),
  constraint jobs_pkey PRIMARY KEY (uid),
  constraint jobs_state_check CHECK ((state = ANY (ARRAY['ACTIVE'::text, 'PAUSED'::text, 'DISABLED'::text, 'FINISHED'::text, 'DELETED'::text])))
);
CREATE INDEX jobs_create_time ON scheduler.jobs USING btree (project_id, create_time, name COLLATE "C") WHERE (state <> 'DELETED'::text);
CREATE INDEX jobs_delete_finished ON scheduler.jobs USING btree (uid) WHERE (delete_finished AND (state = 'FINISHED'::text));
CREATE INDEX jobs_deleted_name ON scheduler.jobs USING btree (project_id, name COLLATE "C", create_time DESC) WHERE (state = 'DELETED'::text);
CREATE UNIQUE INDEX jobs_live_name ON scheduler.jobs USING btree (project_id, name COLLATE "C") WHERE (state <> 'DELETED'::text);
CREATE INDEX jobs_next_fire_time ON scheduler.jobs USING btree (project_id, COALESCE(next_fire_time, 'infinity'::timestamp with time zone), name COLLATE "C") WHERE (state <> 'DELETED'::text);
CREATE INDEX jobs_resuming ON scheduler.jobs USING btree (project_id, pause_until) WHERE ((state = 'ACTIVE'::text) AND (pause_until IS NOT NULL));
CREATE INDEX jobs_state ON scheduler.jobs USING btree (project_id, state, name COLLATE "C") WHERE (state = ANY (ARRAY['PAUSED'::text, 'DISABLED'::text, 'FINISHED'::text]));
CREATE INDEX jobs_waiting ON scheduler.jobs USING btree (project_id) WHERE waits_for_end;
CREATE INDEX jobs_wake ON scheduler.jobs USING btree (wake_time) WHERE (wake_time IS NOT NULL);
CREATE TRIGGER note_disabled AFTER UPDATE OF disable_reason ON scheduler.jobs FOR EACH ROW WHEN (((new.disable_reason IS NOT NULL) AND (new.disable_reason IS DISTINCT FROM old.disable_reason))) EXECUTE FUNCTION dispatcher.note_disabled();
CREATE TRIGGER watch_new_jobs AFTER INSERT ON scheduler.jobs REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION dispatcher.watch_new_jobs();

create table scheduler.operations (
  uid text not null,
  project_id text not null,
  job_uid text,
  state text not null,
  revision integer not null,
  start_time timestamp with time zone not null,
  end_time timestamp with time zone not null,
  force boolean not null,
  max_per_second integer not null,
  fire_time_count integer not null,
  outside_calendar_count integer not null,
  succeeded_count integer not null,
  active_count integer not null,
  trigger_count integer not null,
  done_count integer not null default 0,
  last_fire_time timestamp with time zone,
  wake_time timestamp with time zone,
  error text not null default ''::text,
  create_time timestamp with time zone not null,
  finish_time timestamp with time zone,
  kind text not null default 'BACKFILL'::text,
  trigger_state text,
  left_out_count integer not null default 0,
  last_trigger_id text,
  constraint operations_backfill CHECK (((kind = 'REPLAY'::text) OR (job_uid IS NOT NULL))),
  constraint operations_check CHECK (((finish_time IS NULL) = (state = 'RUNNING'::text))),
  constraint operations_check1 CHECK (((wake_time IS NULL) = (state <> 'RUNNING'::text))),
  constraint operations_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint operations_kind_check CHECK ((kind = ANY (ARRAY['BACKFILL'::text, 'REPLAY'::text]))),
  constraint operations_max_per_second_check CHECK ((max_per_second > 0)),
  constraint operations_pkey PRIMARY KEY (uid),
  constraint operations_replay CHECK (((kind = 'REPLAY'::text) = (trigger_state IS NOT NULL))),
  constraint operations_state_check CHECK ((state = ANY (ARRAY['RUNNING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))
);
CREATE INDEX operations_project ON scheduler.operations USING btree (project_id, uid DESC);
CREATE INDEX operations_running ON scheduler.operations USING btree (project_id) WHERE (state = 'RUNNING'::text);
CREATE INDEX operations_wake ON scheduler.operations USING btree (wake_time) WHERE (wake_time IS NOT NULL);

create table scheduler.requests (
  project_id text not null,
  request_id text not null,
  fingerprint bytea not null,
  job_uid text not null,
  fire_time timestamp with time zone,
  create_time timestamp with time zone not null,
  operation_uid text,
  constraint requests_pkey PRIMARY KEY (project_id, request_id)
);
CREATE INDEX requests_create_time ON scheduler.requests USING btree (create_time);

create table scheduler.revisions (
  job_uid text not null,
  revision integer not null,
  spec text not null,
  create_time timestamp with time zone not null,
  actor text not null default ''::text,
  zone_data text not null default ''::text,
  fired_count integer not null default 0,
  waiting_time timestamp with time zone,
  facets jsonb not null,
  traceparent text,
  constraint revisions_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint revisions_pkey PRIMARY KEY (job_uid, revision)
);
CREATE TRIGGER unwatch_job AFTER INSERT ON scheduler.revisions FOR EACH ROW WHEN (((new.revision > 1) AND (NOT (new.facets ? 'alerts'::text)))) EXECUTE FUNCTION dispatcher.unwatch_job();
CREATE TRIGGER watch_job AFTER INSERT ON scheduler.revisions FOR EACH ROW WHEN ((new.facets ? 'alerts'::text)) EXECUTE FUNCTION dispatcher.watch_job();

create table scheduler.set_aside (
  kind text not null,
  id text not null,
  project_id text not null,
  problem text not null,
  error text not null,
  failures integer not null,
  first_time timestamp with time zone not null,
  last_time timestamp with time zone not null,
  retry_time timestamp with time zone not null,
  constraint set_aside_kind_check CHECK ((kind = ANY (ARRAY['job'::text, 'deletion'::text, 'backfill'::text, 'disabling'::text]))),
  constraint set_aside_pkey PRIMARY KEY (kind, id)
);
CREATE INDEX set_aside_retry ON scheduler.set_aside USING btree (kind, retry_time);

create table scheduler.skips (
  job_uid text not null,
  first_fire_time timestamp with time zone not null,
  last_fire_time timestamp with time zone not null,
  verdict text not null,
  reason text not null,
  fire_count integer not null,
  detail text not null default ''::text,
  constraint skips_check CHECK ((first_fire_time <= last_fire_time)),
  constraint skips_fire_count_check CHECK ((fire_count > 0)),
  constraint skips_job_uid_fkey FOREIGN KEY (job_uid) REFERENCES scheduler.jobs(uid),
  constraint skips_pkey PRIMARY KEY (job_uid, first_fire_time),
  constraint skips_reason_check CHECK ((reason = ANY (ARRAY['PAUSED'::text, 'OUTSIDE_CALENDAR'::text, 'OVERLAP'::text, 'BUFFER_FULL'::text, 'SKIPPED_BY_REQUEST'::text, 'JOB_DISABLED'::text, 'CATCHUP_WINDOW'::text, 'CATCHUP_LIMIT'::text, 'MISFIRE_POLICY'::text]))),
  constraint skips_verdict_check CHECK ((verdict = ANY (ARRAY['SKIPPED'::text, 'MISSED'::text])))
);
CREATE TRIGGER note_missed AFTER INSERT OR UPDATE OF fire_count ON scheduler.skips FOR EACH ROW WHEN ((new.verdict = 'MISSED'::text)) EXECUTE FUNCTION dispatcher.note_missed();

create table scheduler.undos (
  uid text not null,
  project_id text not null,
  entries jsonb not null,
  create_time timestamp with time zone not null,
  constraint undos_pkey PRIMARY KEY (uid)
);
CREATE INDEX undos_create_time ON scheduler.undos USING btree (create_time);

create table scheduler.unsettled_calendars (
  calendar_uid text not null,
  asked integer not null default 1,
  retry_time timestamp with time zone not null,
  constraint unsettled_calendars_calendar_uid_fkey FOREIGN KEY (calendar_uid) REFERENCES scheduler.calendars(uid),
  constraint unsettled_calendars_pkey PRIMARY KEY (calendar_uid)
);

create table scheduler.zone_data (
  version text not null,
  effective_time timestamp with time zone not null,
  create_time timestamp with time zone not null,
  settle_time timestamp with time zone,
  pass_time timestamp with time zone,
  pass_calendar text default ''::text,
  pass_job text default ''::text,
  pass_failed boolean not null default false,
  constraint zone_data_pkey PRIMARY KEY (version)
);
CREATE INDEX zone_data_effective_time ON scheduler.zone_data USING btree (effective_time);

create table scheduler.zone_offsets (
  zone text not null,
  version text not null,
  offsets json not null,
  constraint zone_offsets_pkey PRIMARY KEY (zone, version),
  constraint zone_offsets_version_fkey FOREIGN KEY (version) REFERENCES scheduler.zone_data(version)
);

CREATE OR REPLACE FUNCTION scheduler.first_undecided(of_project_id text)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select min(least(j.next_fire_time, case when j.state = 'PAUSED' then j.pause_until end,
                   date_trunc('milliseconds', to_timestamp((j.carry -> 'waiting' ->> 0)::double precision / 1000))))
    from scheduler.jobs j where j.project_id = of_project_id and j.state <> 'DELETED'
$function$;

CREATE OR REPLACE FUNCTION scheduler.lock_current(job_uids text[], epochs integer[])
 RETURNS TABLE(uid text, epoch integer)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
begin
  return query
    select j.uid, j.epoch
      from scheduler.jobs j
      join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
        on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED'
       for key share of j;
end
$function$;

CREATE OR REPLACE FUNCTION scheduler.lock_current_or_skip(job_uids text[], epochs integer[])
 RETURNS TABLE(uid text, epoch integer, contended boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
#variable_conflict use_column
declare
  locked_uids text[];
  locked_epochs integer[];
begin
  select array_agg(l.uid), array_agg(l.epoch) into locked_uids, locked_epochs
    from (select j.uid, j.epoch
            from scheduler.jobs j
            join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
              on j.uid = given.u and j.epoch = given.e
           where j.state <> 'DELETED'
             for key share of j skip locked) as l;
  return query select l.u, l.e, false from unnest(locked_uids, locked_epochs) as l (u, e);
  -- A new statement, and so a new snapshot: after a change that has committed meanwhile, the old epoch is not in effect
  -- here any more. What is in effect and not locked is contended.
  return query
    select j.uid, j.epoch, true
      from (select u, e from unnest(job_uids, epochs) as given (u, e)
            except select u, e from unnest(locked_uids, locked_epochs) as l (u, e)) as missing
      join scheduler.jobs j on j.uid = missing.u and j.epoch = missing.e
     where j.state <> 'DELETED';
end
$function$;

CREATE OR REPLACE FUNCTION scheduler.wake_waiting(job_uids text[], at_time timestamp with time zone)
 RETURNS SETOF text
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  with looked as materialized (
    select j.uid, j.waits_for_end and j.state = 'ACTIVE' and (j.wake_time is null or j.wake_time > at_time) as sleeps
      from scheduler.jobs j where j.uid = any (job_uids)
       for no key update skip locked
  ), woken as (
    update scheduler.jobs j set wake_time = at_time from looked where j.uid = looked.uid and looked.sleeps
  )
  select uid from looked
$function$;

CREATE OR REPLACE FUNCTION scheduler.watchable_jobs(of_project_id text, after_name text, of_limit integer)
 RETURNS TABLE(uid text, name text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select j.uid, j.name from scheduler.jobs j
   where j.project_id = of_project_id and j.state <> 'DELETED' and j.name collate "C" > after_name collate "C"
   order by j.name collate "C" limit of_limit
$function$;

CREATE OR REPLACE FUNCTION scheduler.watched_calendars(of_project_id text, names text[], from_time timestamp with time zone)
 RETURNS TABLE(name text, create_time timestamp with time zone, until_time timestamp with time zone, spec text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select v.name, v.create_time, v.until_time, v.spec from (
    select c.name, v.create_time, v.spec::text as spec,
           coalesce(lead(v.create_time) over (partition by c.uid order by v.version), c.delete_time) as until_time
      from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid
     where c.project_id = of_project_id and c.name = any (names)) as v
   where v.until_time is null or v.until_time >= from_time
   order by v.name, v.create_time limit 200
$function$;

CREATE OR REPLACE FUNCTION scheduler.watched_epochs(of_job_uids text[], from_times timestamp with time zone[])
 RETURNS TABLE(job_uid text, job_name text, job_state text, pause_until timestamp with time zone, last_fire_time timestamp with time zone, requested jsonb, epoch integer, state text, revision integer, after_time timestamp with time zone, end_time timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select j.uid, j.name, j.state, j.pause_until, j.last_fire_time, j.carry -> 'requested', e.epoch, e.state, e.revision,
         e.after_time, e.end_time
    from unnest(of_job_uids, from_times) as w (uid, from_time)
   cross join lateral (select * from scheduler.jobs j where j.uid = w.uid limit 1) as j
   cross join lateral (
     select * from scheduler.epochs e
      where e.job_uid = w.uid
        and e.epoch >= coalesce((select b.epoch from scheduler.epochs b
                                  where b.job_uid = w.uid and b.after_time <= w.from_time
                                  order by b.epoch desc limit 1), 0)
      order by e.epoch desc limit 100) as e
   order by j.uid, e.epoch
$function$;

CREATE OR REPLACE FUNCTION scheduler.watched_skips(of_job_uids text[], from_times timestamp with time zone[], to_times timestamp with time zone[])
 RETURNS TABLE(job_uid text, first_fire_time timestamp with time zone, last_fire_time timestamp with time zone, verdict text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
  select w.uid, s.first_fire_time, s.last_fire_time, s.verdict
    from unnest(of_job_uids, from_times, to_times) as w (uid, from_time, to_time)
   cross join lateral (
     select s.first_fire_time, s.last_fire_time, s.verdict from scheduler.skips s
      where s.job_uid = w.uid and s.first_fire_time <= w.to_time and s.last_fire_time >= w.from_time
        and s.first_fire_time >= coalesce((select b.first_fire_time from scheduler.skips b
                                            where b.job_uid = w.uid and b.first_fire_time <= w.from_time
                                            order by b.first_fire_time desc limit 1), w.from_time)
      order by s.first_fire_time limit 2000) as s
$function$;

grant execute on function dispatcher.audit_triggers to easycron_scheduler;
grant execute on function dispatcher.busy_jobs to easycron_scheduler;
grant execute on function dispatcher.cancel to easycron_scheduler;
grant execute on function dispatcher.catchup_end to easycron_scheduler;
grant execute on function dispatcher.count_replayable to easycron_scheduler;
grant execute on function dispatcher.discard to easycron_scheduler;
grant execute on function dispatcher.drop_partition to easycron_dispatcher;
grant execute on function dispatcher.exhausted_since_success to easycron_scheduler;
grant execute on function dispatcher.fail_if_past to easycron_dispatcher;
grant execute on function dispatcher.find_trigger to easycron_scheduler;
grant execute on function dispatcher.handed_over to easycron_scheduler;
grant execute on function dispatcher.is_expired to easycron_dispatcher;
grant execute on function dispatcher.known_floor to easycron_dispatcher;
grant execute on function dispatcher.last_attempt to easycron_scheduler;
grant execute on function dispatcher.lateness to easycron_dispatcher;
grant execute on function dispatcher.lateness to easycron_scheduler;
grant execute on function dispatcher.ledger_triggers to easycron_scheduler;
grant execute on function dispatcher.ledger_triggers_at to easycron_scheduler;
grant execute on function dispatcher.list_signals to easycron_scheduler;
grant execute on function dispatcher.live_jobs to easycron_scheduler;
grant execute on function dispatcher.make_partition to easycron_dispatcher;
grant execute on function dispatcher.note_failure to easycron_dispatcher;
grant execute on function dispatcher.oldest_snapshot to easycron_dispatcher;
grant execute on function dispatcher.redeliver to easycron_scheduler;
grant execute on function dispatcher.replay to easycron_scheduler;
grant execute on function dispatcher.replayable to easycron_scheduler;
grant execute on function dispatcher.retention_floor to easycron_scheduler;
grant execute on function dispatcher.take_signals to easycron_scheduler;
grant execute on function dispatcher.use_master_key to easycron_dispatcher;
grant execute on function dispatcher.withdraw to easycron_scheduler;
grant execute on function scheduler.first_undecided to easycron_dispatcher;
grant execute on function scheduler.lock_current to easycron_dispatcher;
grant execute on function scheduler.lock_current_or_skip to easycron_dispatcher;
grant execute on function scheduler.wake_waiting to easycron_dispatcher;
grant execute on function scheduler.watchable_jobs to easycron_dispatcher;
grant execute on function scheduler.watched_calendars to easycron_dispatcher;
grant execute on function scheduler.watched_epochs to easycron_dispatcher;
grant execute on function scheduler.watched_skips to easycron_dispatcher;
grant usage on schema dispatcher to easycron_dispatcher;
grant usage on schema dispatcher to easycron_scheduler;
grant usage on schema gateway to easycron_gateway;
grant usage on schema public to easycron_dispatcher;
grant usage on schema public to easycron_gateway;
grant usage on schema public to easycron_scheduler;
grant usage on schema public to public;
grant usage on schema scheduler to easycron_dispatcher;
grant usage on schema scheduler to easycron_scheduler;
grant delete, insert, select, update on table dispatcher.alert_facts to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.alert_jobs to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.alerts to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.attempts to easycron_dispatcher;
grant insert, select, update on table dispatcher.data_keys to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.instances to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.live_triggers to easycron_dispatcher;
grant insert, select on table dispatcher.master_key to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.project_alerts to easycron_dispatcher;
grant insert, select, update on table dispatcher.retention to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.set_aside to easycron_dispatcher;
grant insert, select on table dispatcher.signals to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.signing_keys to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.signing_keys_version to easycron_dispatcher;
grant insert, select, update on table dispatcher.target_secret_counts to easycron_dispatcher;
grant insert, select on table dispatcher.target_secrets to easycron_dispatcher;
grant delete, insert, select, update on table dispatcher.triggers to easycron_dispatcher;
grant delete, insert, select, update on table gateway.api_keys to easycron_gateway;
grant delete, insert, select, update on table gateway.plugin_credentials to easycron_gateway;
grant delete, insert, select, update on table gateway.plugins to easycron_gateway;
grant delete, insert, select, update on table gateway.projects to easycron_gateway;
grant select on table public.easycron_migrations to easycron_dispatcher;
grant select on table public.easycron_migrations to easycron_gateway;
grant select on table public.easycron_migrations to easycron_scheduler;
grant delete, insert, select, update on table scheduler.audits to easycron_scheduler;
grant delete, insert, select, update on table scheduler.calendar_versions to easycron_scheduler;
grant delete, insert, select, update on table scheduler.calendars to easycron_scheduler;
grant delete, insert, select, update on table scheduler.catchup_slots to easycron_scheduler;
grant delete, insert, select, update on table scheduler.epochs to easycron_scheduler;
grant delete, insert, select, update on table scheduler.failing_jobs to easycron_scheduler;
grant delete, insert, select, update on table scheduler.job_calendars to easycron_scheduler;
grant delete, insert, select, update on table scheduler.job_facets to easycron_scheduler;
grant delete, insert, select, update on table scheduler.jobs to easycron_scheduler;
grant delete, insert, select, update on table scheduler.operations to easycron_scheduler;
grant delete, insert, select, update on table scheduler.requests to easycron_scheduler;
grant select on table scheduler.revisions to easycron_dispatcher;
grant delete, insert, select, update on table scheduler.revisions to easycron_scheduler;
grant delete, insert, select, update on table scheduler.set_aside to easycron_scheduler;
grant delete, insert, select, update on table scheduler.skips to easycron_scheduler;
grant delete, insert, select, update on table scheduler.undos to easycron_scheduler;
grant delete, insert, select, update on table scheduler.unsettled_calendars to easycron_scheduler;
grant delete, insert, select, update on table scheduler.zone_data to easycron_scheduler;
grant delete, insert, select, update on table scheduler.zone_offsets to easycron_scheduler;
