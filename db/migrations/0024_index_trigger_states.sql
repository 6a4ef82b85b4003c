-- Indexes with which ListTriggers finds the triggers of a state without a walk through a project's whole history.

-- The state of a trigger that ended without success; null for every other trigger. Few triggers end so, and they are what
-- people look for. The indexes below name this column and not the state: a claim changes the state and leaves this column
-- null, so it stays a heap-only update. Adding the column rewrites the table.
alter table dispatcher.triggers
  add column rare_end text generated always as (case when state in ('EXHAUSTED', 'CANCELLED') then state end) stored;

create index triggers_rare_end_project on dispatcher.triggers (project_id, rare_end, fire_time desc, id desc)
  where rare_end is not null;
create index triggers_rare_end_job on dispatcher.triggers (job_uid, rare_end, fire_time desc, id desc)
  where rare_end is not null;

-- With the id, so that a page is read in its order: many triggers of one project share a fire time.
drop index dispatcher.triggers_live_project;
create index triggers_live_project on dispatcher.triggers (project_id, fire_time desc, id desc)
  where end_time is null;
drop index dispatcher.triggers_live_job;
create index triggers_live_job on dispatcher.triggers (job_uid, fire_time desc, id desc)
  where end_time is null;
