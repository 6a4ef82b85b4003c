-- The names of jobs that are not deleted are in jobs_live_name, which keeps them unique. The second index of all names was
-- written with every turn of every job, because a turn changes an indexed time: a third of what a turn cost PostgreSQL. It
-- now has only deleted jobs, which have no turns. The old index goes last: no query may read the table from then on until
-- the commit, and making the new one takes a while.
create index jobs_deleted_name on scheduler.jobs (project_id, name collate "C", create_time desc) where state = 'DELETED';

drop index scheduler.jobs_name;
