create schema gateway;

create table gateway.projects (
  id text primary key,
  display_name text not null,
  -- Kinds of plugin the project has enabled: redis, kafka.
  plugins text[] not null default '{}',
  create_time timestamptz not null
);

create table gateway.api_keys (
  id text primary key,
  project_id text not null references gateway.projects (id),
  display_name text not null,
  -- SHA-256 of the secret, which has 256 random bits: nothing is gained by a slow hash.
  secret_hash bytea not null unique,
  create_time timestamptz not null
);

create index api_keys_project on gateway.api_keys (project_id);

grant usage on schema gateway to easycron_gateway;
grant select, insert, update, delete on all tables in schema gateway to easycron_gateway;
