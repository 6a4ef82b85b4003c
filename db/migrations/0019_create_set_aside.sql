-- What failed alone when a batch was taken apart, and is tried again later (dispatcher/set-aside): a specification that
-- cannot be read, a trigger that cannot be claimed or ended, a result that cannot be stored. Operators read this table.
create table dispatcher.set_aside (
  kind text not null check (kind in ('specification', 'trigger', 'result')),
  -- <job uid>/<revision>, the trigger's id, or the attempt's id.
  id text not null,
  project_id text not null,
  job_uid text not null,
  -- The error, shortened.
  problem text not null check (length(problem) <= 500),
  -- How often it has failed, and since when.
  failures integer not null default 1,
  first_time timestamptz not null,
  last_time timestamptz not null,
  -- When it is tried again.
  retry_time timestamptz not null,
  primary key (kind, id)
);

grant select, insert, update, delete on dispatcher.set_aside to easycron_dispatcher;
