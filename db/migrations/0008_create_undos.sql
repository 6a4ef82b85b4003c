-- What a batch has paused or resumed, so that it can be undone.
create table scheduler.undos (
  uid text primary key,
  project_id text not null,
  -- Of each job: its id, name, its epoch after the batch, and its note and end of pause before it.
  entries jsonb not null,
  create_time timestamptz not null
);

create index undos_create_time on scheduler.undos (create_time);

grant select, insert, update, delete on scheduler.undos to easycron_scheduler;
