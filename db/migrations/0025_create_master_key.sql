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
