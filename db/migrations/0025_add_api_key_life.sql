-- What is needed to list, rotate and revoke API keys.
alter table gateway.api_keys
  -- The first characters of the secret, by which people recognize the key. Empty for keys that are older than this column.
  add column secret_prefix text not null default '',
  -- When the key was last used. Written at most once every five minutes.
  add column last_use_time timestamptz,
  -- From when on the key is no longer valid, because another one has replaced it.
  add column expire_time timestamptz,
  add column revoke_time timestamptz;

-- With the id, in whose order a project's keys are listed.
drop index gateway.api_keys_project;
create index api_keys_project on gateway.api_keys (project_id, id);
