-- What the services check before they serve.

-- Each service compares the migrations of the database with those of its own version.
grant usage on schema public to easycron_gateway, easycron_scheduler, easycron_dispatcher;
grant select on public.easycron_migrations to easycron_gateway, easycron_scheduler, easycron_dispatcher;

-- The master key that seals the secrets of the signing keys: its id, and a value that only this key makes. The first
-- dispatcher writes the row. Nothing changes it, so a dispatcher with another key refuses to start.
create table dispatcher.master_key (
  only_row boolean not null default true primary key check (only_row),
  key_id text not null,
  check_value bytea not null,
  create_time timestamptz not null
);

grant select, insert on dispatcher.master_key to easycron_dispatcher;

-- The same function for PostgreSQL 15 and 16, too, whose replication slots have no inactive_since: there a slot is not
-- returned, because since when nobody reads it is not known.
create or replace function dispatcher.oldest_snapshot(
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
          select 'SLOT', null, s.slot_name::text, (to_jsonb(s) ->> 'inactive_since')::timestamptz
            from pg_replication_slots s
           where s.xmin is not null and not s.active) as h (kind, pid, name, since_time)
   where h.since_time is not null
   order by h.since_time limit 1
$$;
