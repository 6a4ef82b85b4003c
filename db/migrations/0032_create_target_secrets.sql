-- The secrets with which webhooks authenticate themselves to their endpoints. A revision of a job holds a secret's id only.
-- The id is a keyed hash of the secret, so a row never changes. Rows are kept as long as revisions, because an old revision
-- can be put in effect again.
create table dispatcher.target_secrets (
  project_id text not null,
  -- sec_…
  id text not null,
  -- AES-256-GCM under the project's data key; bound to the project and the id.
  sealed_secret bytea not null,
  create_time timestamptz not null,
  primary key (project_id, id)
);

-- How many secrets each project has stored. Not in dispatcher.data_keys: changes of signing keys lock its rows, and storing a
-- secret does not wait for them.
create table dispatcher.target_secret_counts (
  project_id text primary key,
  secret_count integer not null
);

grant select, insert on dispatcher.target_secrets to easycron_dispatcher;
grant select, insert, update on dispatcher.target_secret_counts to easycron_dispatcher;
