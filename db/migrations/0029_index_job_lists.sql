-- What lists of jobs select by, besides the name and the state: each label, and a target that is not a webhook. A row for
-- each, in the order of the names, so that the jobs of a label are found however many other jobs the project has. Only
-- jobs that are not deleted have rows. The scheduler writes them with each revision (scheduler/job/facets.ts).
create table scheduler.job_facets (
  project_id text not null,
  -- As a filter names it: labels.team, or target.
  facet text not null,
  value text not null,
  name text collate "C" not null,
  job_uid text not null,
  primary key (project_id, facet, value, name, job_uid)
);

insert into scheduler.job_facets (project_id, facet, value, name, job_uid)
select j.project_id, facet.name, facet.value, j.name, j.uid
  from scheduler.jobs j
  join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision
 cross join lateral (
   select 'labels.' || label.key as name, label.value from jsonb_each_text(r.facets -> 'labels') as label
   union all
   select 'target', r.facets ->> 'target' where r.facets ->> 'target' <> 'webhook'
 ) as facet
 where j.state <> 'DELETED';

grant select, insert, update, delete on scheduler.job_facets to easycron_scheduler;

-- The orders of a list. jobs_next_fire_time also counts the jobs that are due at one instant. Each turn of a job writes
-- both indexes.
create index jobs_create_time on scheduler.jobs (project_id, create_time, name collate "C") where state <> 'DELETED';
drop index scheduler.jobs_next_fire_time;
create index jobs_next_fire_time on scheduler.jobs
  (project_id, coalesce(next_fire_time, 'infinity'), name collate "C") where state <> 'DELETED';
-- The states of a list but for ACTIVE: a turn leaves a job ACTIVE, and would write its entry anew.
create index jobs_state on scheduler.jobs (project_id, state, name collate "C") where state in ('PAUSED', 'FINISHED');
-- Jobs whose pause ends within the look-ahead: they are ACTIVE, but still shown as PAUSED.
create index jobs_resuming on scheduler.jobs (project_id, pause_until) where state = 'ACTIVE' and pause_until is not null;
