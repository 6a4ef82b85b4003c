-- What a scheduler cannot work on, because what is stored about it cannot be read or written. It is left out until its
-- time to be tried again, so that nothing else waits for it. Every scheduler heeds these rows, and a restart keeps them.
create table scheduler.set_aside (
  -- What is set aside: the turns of a job, its deletion after its last trigger, or a backfill.
  kind text not null check (kind in ('job', 'deletion', 'backfill')),
  -- The job's uid, or the operation's.
  id text not null,
  project_id text not null,
  -- A sentence that customers may read.
  problem text not null,
  -- The name and the message of the error, for operators.
  error text not null,
  -- How often it has failed in a row.
  failures integer not null,
  first_time timestamptz not null,
  last_time timestamptz not null,
  retry_time timestamptz not null,
  primary key (kind, id)
);

create index set_aside_retry on scheduler.set_aside (kind, retry_time);

grant select, insert, update, delete on scheduler.set_aside to easycron_scheduler;
