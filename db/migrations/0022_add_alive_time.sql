alter table dispatcher.instances
  -- When its process last showed that it runs. A stalled process keeps its lease for seconds, but not this.
  add column alive_time timestamptz not null default now();

drop function dispatcher.ensure_partitions;

-- Makes the partition of dispatcher.triggers or dispatcher.attempts for the month (UTC) that begins at month_start.
-- Returns MADE; EXISTS if it is there; IN_DEFAULT if the default partition already holds rows of the month, which then
-- stay there; or BUSY if another session makes a partition.
--
-- "create table ... partition of" would lock the whole table (ACCESS EXCLUSIVE). Attaching a table lets everything go
-- on, except that PostgreSQL locks the default partition in the same way, for a moment. A statement that is planned for
-- any fire time locks all partitions, so everybody would wait behind this lock while it waits for a long reader, such
-- as pg_dump. Therefore it waits for at most 50 ms and fails with lock_not_available; the caller tries again later.
--
-- The new table has the partition's constraint before it is attached, so it is not scanned. The default partition is
-- scanned; the caller's statement_timeout bounds that.
create function dispatcher.make_partition(of_table text, month_start timestamptz)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog
set lock_timeout = '50ms'
as $$
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
$$;

-- Returns what holds back the removal of dead rows for longest: a session's snapshot or transaction, a prepared
-- transaction, or a replication slot that nobody reads. No row if there is none. A replication slot in use is not
-- listed. The owner of the function needs the role pg_read_all_stats, or else it sees its own sessions only.
create function dispatcher.oldest_snapshot(
  out kind text, out pid integer, out name text, out since_time timestamptz, out age_ms bigint
)
returns setof record
language sql volatile security definer set search_path = pg_catalog
as $$
  select h.kind, h.pid, h.name, h.since_time, (extract(epoch from clock_timestamp() - h.since_time) * 1000)::bigint
    from (select 'SESSION', a.pid, a.application_name, a.xact_start
            from pg_stat_activity a
           where a.datname = current_database() and (a.backend_xmin is not null or a.backend_xid is not null)
             and a.backend_type <> 'autovacuum worker' and a.pid <> pg_backend_pid()
           union all
          select 'PREPARED', null, p.gid, p.prepared from pg_prepared_xacts p where p.database = current_database()
           union all
          select 'SLOT', null, s.slot_name::text, s.inactive_since from pg_replication_slots s
           where s.xmin is not null and not s.active) as h (kind, pid, name, since_time)
   where h.since_time is not null
   order by h.since_time limit 1
$$;

revoke execute on function dispatcher.make_partition, dispatcher.oldest_snapshot from public;
grant execute on function dispatcher.make_partition, dispatcher.oldest_snapshot to easycron_dispatcher;
