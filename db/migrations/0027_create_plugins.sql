-- What each project wants of its plugins: a space of its own in a managed Redis or Kafka. The gateway owns these rows.
-- Plugin delivery makes the broker as they say.
create table gateway.plugins (
  project_id text not null references gateway.projects (id),
  kind text not null check (kind in ('REDIS', 'KAFKA')),
  state text not null check (state in ('PROVISIONING', 'ENABLED', 'DISABLING', 'DISABLED', 'FAILED')),
  state_reason text not null default '',
  -- Whether jobs may have it as target: from the first time that it is ENABLED until it is DISABLING.
  is_usable boolean not null default false,
  -- A PluginLimits as proto3 JSON, with a value in each field of the kind.
  limits jsonb not null,
  -- Lists of PluginTopic as proto3 JSON, and of names.
  topics jsonb not null default '[]',
  deleted_topics jsonb not null default '[]',
  -- The number in the user name of the newest credentials. A number is used once, even if its set-up failed.
  last_credential integer not null default 0,
  -- Whether customers can only read and delete, because the limits are used up.
  is_read_only boolean not null default false,
  -- Where customers connect to, as plugin delivery said when it was set up last.
  endpoint text not null default '',
  -- While it is DISABLING: whether jobs are to be paused, and whether its access is being taken away, after which there is
  -- no way back.
  is_forced boolean not null default false,
  is_cut_off boolean not null default false,
  create_time timestamptz not null,
  -- Set while it is DISABLING or DISABLED.
  data_remove_time timestamptz,
  is_data_removed boolean not null default false,
  -- What it uses. No measure_time: it has not been measured.
  used_bytes bigint not null default 0,
  used_keys bigint not null default 0,
  used_topics integer not null default 0,
  used_partitions integer not null default 0,
  connections integer not null default 0,
  measure_time timestamptz,
  -- When a gateway looks at it next, and measures it next. Null: not by itself.
  reconcile_time timestamptz,
  next_measure_time timestamptz,
  failures integer not null default 0,
  -- Who works on it now: nobody else changes the row or the broker before lease_end.
  lease_owner text,
  lease_end timestamptz,
  primary key (project_id, kind)
);

create index plugins_reconcile on gateway.plugins (kind, reconcile_time) where reconcile_time is not null;
create index plugins_measure on gateway.plugins (kind, next_measure_time) where next_measure_time is not null;

-- The credentials that customers have got. A password that no call has returned has no row.
create table gateway.plugin_credentials (
  project_id text not null,
  kind text not null,
  number integer not null,
  username text not null,
  -- Redis only: SHA-256 of the password, which has 256 random bits. Kafka keeps its own secret.
  password_sha256 bytea,
  create_time timestamptz not null,
  -- When it ends, because newer credentials replace it.
  expire_time timestamptz,
  primary key (project_id, kind, number),
  foreign key (project_id, kind) references gateway.plugins (project_id, kind)
);

grant select, insert, update, delete on gateway.plugins, gateway.plugin_credentials to easycron_gateway;

-- It was never set.
alter table gateway.projects drop column plugins;
