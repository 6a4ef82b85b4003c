alter table scheduler.revisions
  -- How many of the job's max_fires were used up when it came into force, those that waited among them; 0 for those older
  -- than this column.
  add column fired_count integer not null default 0,
  -- The last fire time that waited for its moment then; null when none did.
  add column waiting_time timestamptz;

-- What a revision changed is told by the calendars that were in force then, deleted ones too.
create index calendars_name on scheduler.calendars (project_id, name);
