create table scheduler.calendars (
  uid text primary key,
  project_id text not null,
  name text not null,
  -- The version in force; its text is in scheduler.calendar_versions.
  version integer not null,
  create_time timestamptz not null,
  update_time timestamptz not null,
  delete_time timestamptz
);

create unique index calendars_live_name on scheduler.calendars (project_id, name collate "C") where delete_time is null;

create table scheduler.calendar_versions (
  calendar_uid text not null references scheduler.calendars (uid),
  version integer not null,
  -- Zone, windows and dates as proto3 JSON of easycron.v1.Calendar. Never changed.
  spec jsonb not null,
  -- In force from here on, until the next version's.
  create_time timestamptz not null,
  primary key (calendar_uid, version)
);

-- Which calendars the revision in force of a job refers to. Kept for deleted jobs too.
create table scheduler.job_calendars (
  job_uid text not null references scheduler.jobs (uid),
  calendar_uid text not null references scheduler.calendars (uid),
  -- The version by which the job was last settled: what is behind the calendar's own is still to be done.
  version integer not null,
  primary key (job_uid, calendar_uid)
);

create index job_calendars_calendar on scheduler.job_calendars (calendar_uid, job_uid);

grant select, insert, update, delete on scheduler.calendars, scheduler.calendar_versions, scheduler.job_calendars
  to easycron_scheduler;
