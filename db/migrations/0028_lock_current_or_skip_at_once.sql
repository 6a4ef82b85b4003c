-- Does what it did. When all given jobs are in effect and were locked, which is the usual case, it does not read them a
-- second time, and does not look for each of a thousand jobs in a list of a thousand: that took longer than the rest of
-- recording a batch.
create or replace function scheduler.lock_current_or_skip(job_uids text[], epochs integer[])
returns table (uid text, epoch integer, contended boolean)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  locked_uids text[];
  locked_epochs integer[];
  wanted integer;
begin
  with given as materialized (
    select distinct u, e from unnest(job_uids, epochs) as given (u, e)
  ), locked as materialized (
    select j.uid, j.epoch
      from scheduler.jobs j join given on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED'
       for key share of j skip locked
  )
  select array_agg(locked.uid), array_agg(locked.epoch), (select count(*) from given) from locked
    into locked_uids, locked_epochs, wanted;
  if cardinality(locked_uids) = wanted then
    return query select l.uid, l.epoch, false from unnest(locked_uids, locked_epochs) as l (uid, epoch);
    return;
  end if;
  -- A new statement, and so a new snapshot: after a change that has committed meanwhile, the old epoch is not in effect
  -- here any more. What is in effect and not locked is contended.
  return query
    select j.uid, j.epoch, locked_uids is null or j.uid <> all (locked_uids)
      from scheduler.jobs j
      join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
        on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED';
end
$$;
