-- Signing keys with an algorithm and an end, and a data key for each project.

alter table dispatcher.signing_keys
  add column algorithm text not null default 'HMAC_SHA256',
  -- What receivers verify with, whpk_…; null for HMAC.
  add column public_key text,
  -- From when on it does not sign, because it was rotated.
  add column expire_time timestamptz,
  add column revoke_time timestamptz,
  add constraint signing_keys_algorithm check (algorithm in ('HMAC_SHA256', 'ED25519')),
  add constraint signing_keys_public_key check ((public_key is not null) = (algorithm = 'ED25519'));

alter table dispatcher.signing_keys alter column algorithm drop default;

-- Only the five newest keys of a project have signed so far. Now every key signs that has not ended.
update dispatcher.signing_keys
   set expire_time = now()
 where id in (
   select id
     from (select id, row_number() over (partition by project_id order by create_time desc, id desc) as position
             from dispatcher.signing_keys) as keys
    where position > 5
 );

-- The data key of a project seals the secrets of its signing keys. The master key seals ("wraps") the data keys, so only
-- these are sealed anew when the master key is replaced.
create table dispatcher.data_keys (
  project_id text primary key,
  -- The id of the master key, mk_….
  master_key_id text not null,
  -- AES-256-GCM under the master key; bound to the project and the master key's id.
  wrapped_key bytea not null,
  -- The value of dispatcher.signing_keys_version after the last change of the project's signing keys.
  keys_version bigint not null,
  create_time timestamptz not null
);

create index data_keys_master_key on dispatcher.data_keys (master_key_id);
create index data_keys_version on dispatcher.data_keys (keys_version);

-- Secrets whose first byte is 1 are sealed with the master key itself. The dispatchers seal them with data keys.
create index signing_keys_old_format on dispatcher.signing_keys (project_id)
  where substring(sealed_secret from 1 for 1) = '\x01';

grant select, insert, update on dispatcher.data_keys to easycron_dispatcher;

-- The id of the master key that a dispatcher is configured with; null if it was started before this migration.
alter table dispatcher.instances add column master_key_id text;

-- Makes a master key the one that seals, once every live dispatcher is configured with it. Returns the id of the key that
-- seals from now on. The lock keeps dispatchers from starting meanwhile, so that none misses the change. Whoever wants to
-- write to the table waits behind this lock while it waits. Therefore it waits for at most 500 ms, and the key stays; the
-- caller tries again later.
create function dispatcher.use_master_key(new_id text, new_check_value bytea)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog
set lock_timeout = '500ms'
as $$
declare
  present text := (select key_id from dispatcher.master_key);
begin
  if present = new_id or exists (
    select from dispatcher.instances where lease_until > now() and master_key_id is distinct from new_id
  ) then
    return present;
  end if;
  begin
    lock table dispatcher.instances in share row exclusive mode;
  exception when lock_not_available then
    return present;
  end;
  if exists (
    select from dispatcher.instances where lease_until > now() and master_key_id is distinct from new_id
  ) then
    return present;
  end if;
  update dispatcher.master_key set key_id = new_id, check_value = new_check_value, create_time = now();
  return new_id;
end
$$;

revoke execute on function dispatcher.use_master_key from public;
grant execute on function dispatcher.use_master_key to easycron_dispatcher;
