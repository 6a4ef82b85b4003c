-- For how many jobs of a project are due at one instant at the top of an hour (scheduler/jobs.sql.ts, jobsDueAt). Zones
-- are ahead of UTC by whole quarters of an hour; a cursor anywhere else costs this index nothing when it moves, as
-- it does with every fire time of every job.
create index jobs_next_fire_time on scheduler.jobs (project_id, next_fire_time)
  where extract(epoch from next_fire_time at time zone 'UTC') % 900 = 0;
