-- Cancels triggers of a project that have not come to rest, earliest first, at most `most`: of one job if of_job_uid is
-- not null, of one kind if of_kind is not null, with fire times from from_time on and before before_time. An attempt in
-- flight is let run; its trigger is not tried again. Returns how many. The rows are locked in the order of withdraw and
-- cancel, so that each is judged by its newest version and none waits for another crosswise.
create function dispatcher.discard(
  of_project_id text, of_job_uid text, of_kind text, from_time timestamptz, before_time timestamptz,
  at_time timestamptz, most integer
)
returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  discarded integer;
begin
  with wanted as materialized (
    select t.id, t.fire_time from dispatcher.triggers t
     where t.project_id = of_project_id and (of_job_uid is null or t.job_uid = of_job_uid)
       and (of_kind is null or t.kind = of_kind) and t.end_time is null and t.cancel_time is null
       and t.fire_time >= from_time and t.fire_time < before_time
     order by t.job_uid, t.fire_time limit most
       for update
  )
  update dispatcher.triggers t
     set state = case when t.state = 'RUNNING' then t.state else 'CANCELLED' end,
         end_time = case when t.state = 'RUNNING' then null else at_time end,
         owner = case when t.state = 'RUNNING' then t.owner end,
         cancel_time = at_time
    from wanted
   where t.id = wanted.id and t.fire_time = wanted.fire_time;
  get diagnostics discarded = row_count;
  return discarded;
end
$$;

-- What lives of a project, so that it is found without a walk through all that has been.
create index triggers_live_project on dispatcher.triggers (project_id, fire_time) where end_time is null;

revoke execute on function dispatcher.discard from public;
grant execute on function dispatcher.discard to easycron_scheduler;
