-- When the last trigger of a project that is made up for and has not come to rest is due; null when there is none.
create function dispatcher.catchup_end(of_project_id text)
returns timestamptz
language sql stable security definer set search_path = pg_catalog
as $$
  select max(t.effective_time) from dispatcher.triggers t
   where t.project_id = of_project_id and t.end_time is null and t.kind = 'CATCHUP' and t.cancel_time is null
$$;

revoke execute on function dispatcher.catchup_end from public;
grant execute on function dispatcher.catchup_end to easycron_scheduler;
