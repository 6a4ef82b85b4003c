-- Which of these (job, epoch) pairs are in effect, without waiting for another transaction. A job that nobody else has
-- locked gets KEY SHARE until the caller's transaction ends, as with lock_current: it conflicts with the FOR UPDATE of a
-- change, and not with the FOR NO KEY UPDATE under which the scheduler hands events over. A job that another transaction
-- has locked against this is returned as contended, and is not locked. So a locked job does not delay the others.
create function scheduler.lock_current_or_skip(job_uids text[], epochs integer[])
returns table (uid text, epoch integer, contended boolean)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  locked_uids text[];
begin
  locked_uids := array(
    select j.uid
      from scheduler.jobs j
      join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
        on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED'
       for key share of j skip locked);
  -- A new statement, and so a new snapshot: after a change that has committed meanwhile, the old epoch is not in effect
  -- here any more. What is in effect and not locked is contended.
  return query
    select j.uid, j.epoch, j.uid <> all (locked_uids)
      from scheduler.jobs j
      join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
        on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED';
end
$$;

-- Fails when a deadline has passed by the clock, and otherwise returns true. To be called when a statement has written
-- its rows: it then undoes them. The error says that a retry may succeed.
create function dispatcher.fail_if_past(deadline timestamptz)
returns boolean
language plpgsql volatile set search_path = pg_catalog
as $$
begin
  if clock_timestamp() > deadline then
    raise exception 'the deadline % has passed', deadline using errcode = 'serialization_failure';
  end if;
  return true;
end
$$;

revoke execute on function scheduler.lock_current_or_skip, dispatcher.fail_if_past from public;
grant execute on function scheduler.lock_current_or_skip, dispatcher.fail_if_past to easycron_dispatcher;
