alter table scheduler.revisions
  -- Id of the API key that made it; empty when the scheduler did, or for those older than this column.
  add column actor text not null default '';
