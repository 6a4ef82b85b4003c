import { statement } from "../../db/statement.ts";

/** A job with alerts. Times are epoch milliseconds. */
export interface AlertJobRow {
  readonly job_uid: string;
  readonly project_id: string;
  readonly within_ms: number | null;
  readonly watched_until: number;
  readonly told: readonly string[];
  readonly since_time: number | null;
  /** Whether it is watched because of its project's alerts. */
  readonly of_project: boolean;
  /** Its held_until while this look lasts, as PostgreSQL's text. It differs when anything else has taken or changed the job. */
  readonly taken: string;
}

/**
 * Takes at most $2 jobs at the time $1 that have facts, and at most as many that are to be looked at. Nobody else takes
 * them before $3, unless a new revision with alerts comes. Jobs that another transaction has locked are left out. A part
 * of a second is added to each held_until at random, because it names this look in the statements that end it: two
 * dispatchers may take a job at the same millisecond, with a revision in between.
 *
 * A job without a row that has loose facts, because its project has alerts, gets a row: the next look takes it. Its facts are
 * loose no more, so a job that is held costs nothing here.
 */
export const alertJobsTake = statement<AlertJobRow>(
  "alertJobsTake",
  `with noted as materialized (
     select j.job_uid from dispatcher.alert_jobs j
      where j.held_until <= $1
        and j.job_uid = any (array(select distinct f.job_uid from dispatcher.alert_facts f
                                     join dispatcher.alert_jobs h on h.job_uid = f.job_uid and h.held_until <= $1
                                    limit $2))
        for no key update skip locked
   ), due as materialized (
     select j.job_uid from dispatcher.alert_jobs j
      where j.look_time <= $1 and j.held_until <= $1 order by j.look_time limit $2
        for no key update skip locked
   ), added as (
     insert into dispatcher.alert_jobs (job_uid, project_id, within_ms, look_time, held_until, watched_until, of_project)
     select distinct on (f.job_uid) f.job_uid, f.project_id, p.within_ms, $1::timestamptz, '-infinity', $1, true
       from dispatcher.alert_facts f left join dispatcher.project_alerts p on p.project_id = f.project_id
      where f.is_loose and f.project_id is not null
        and not exists (select from dispatcher.alert_jobs a where a.job_uid = f.job_uid)
      order by f.job_uid limit $2
     on conflict (job_uid) do nothing
     returning job_uid
   ), settled as (
     update dispatcher.alert_facts f set is_loose = false
      where f.is_loose and f.job_uid = any (array(select job_uid from added))
   )
   update dispatcher.alert_jobs j set held_until = $3::timestamptz + random() * interval '1 s'
    where j.job_uid = any (array(select job_uid from noted union select job_uid from due))
   returning j.job_uid, j.project_id, j.within_ms, j.watched_until, j.told, j.since_time, j.of_project,
          j.held_until::text as taken`,
);

/** A fact that was noted about a job. Times are epoch milliseconds. */
export interface AlertFactRow {
  readonly job_uid: string;
  readonly kind: "EXHAUSTED" | "FAILING" | "MISSED" | "DISABLED";
  readonly cause: string;
  readonly fact_time: number;
  readonly first_fire_time: number | null;
  readonly last_fire_time: number | null;
  readonly fire_count: number;
  readonly trigger_id: string | null;
  readonly attempts: number | null;
  readonly reason: string;
}

/** Reads the facts of the jobs $1: about 200 of each job at most, as many as are noted. */
export const alertFactsRead = statement<AlertFactRow>(
  "alertFactsRead",
  `select job_uid, kind, cause, fact_time, first_fire_time, last_fire_time, fire_count, trigger_id, attempts, reason
     from dispatcher.alert_facts where job_uid = any ($1::text[]) order by fact_time, cause`,
);

/** Returns when a trigger of each of the jobs $1 last succeeded since $2: of the latest 200 triggers of each. */
export const alertSuccesses = statement<{ job_uid: string; end_time: number }>(
  "alertSuccesses",
  `select w.job_uid, s.end_time
     from unnest($1::text[], $2::timestamptz[]) as w (job_uid, since_time)
    cross join lateral (
      select max(t.end_time) as end_time
        from (select t.state, t.end_time from dispatcher.triggers t
               where t.job_uid = w.job_uid order by t.fire_time desc, t.id desc limit 200) as t
       where t.state = 'SUCCEEDED' and t.end_time >= w.since_time) as s
    where s.end_time is not null`,
);

/** Reads the specification of revision $2 of job $1. */
export const alertSpec = statement<{ spec: string }>(
  "alertSpec",
  `select r.spec from scheduler.revisions r where r.job_uid = $1 and r.revision = $2`,
);

/** Counts the alerts of job $1 and of project $2 that were made after $3: at most 1,000 each. */
export const alertsRecent = statement<{ of_job: number; of_project: number }>(
  "alertsRecent",
  `select (select count(*)::integer from (select from dispatcher.alerts a
             where a.job_uid = $1 and a.create_time > $3 limit 1000) as a) as of_job,
          (select count(*)::integer from (select from dispatcher.alerts a
             where a.project_id = $2 and a.create_time > $3 limit 1000) as a) as of_project`,
);

/**
 * Records what was decided about job $1 of project $2: its alerts (ids $3, events $4, documents $5), due at $6; removes its
 * facts (kinds $7, causes $8) and stores its new state: what is told ($9), since when it is in trouble ($10), until where
 * its fire times were judged ($11), when it is to be looked at again ($12), until when nobody looks ($13), its
 * deliveredWithin ($15) and whether its project's alerts hold for it ($16). An alert that exists already is not made again.
 * Does nothing unless the job is still taken as $14. Returns the ids of the new alerts.
 */
export const alertsRecord = statement<{ id: string }>(
  "alertsRecord",
  `with changed as (
     update dispatcher.alert_jobs
        set told = $9::text[], since_time = $10::timestamptz, watched_until = $11::timestamptz,
            look_time = $12::timestamptz, held_until = $13::timestamptz, within_ms = $15::bigint,
            of_project = $16::boolean
      where job_uid = $1 and held_until = $14::timestamptz
     returning job_uid
   ), forgotten as (
     delete from dispatcher.alert_facts f using unnest($7::text[], $8::text[]) as w (kind, cause)
      where f.job_uid = $1 and f.kind = w.kind and f.cause = w.cause and exists (select from changed)
   )
   insert into dispatcher.alerts (id, project_id, job_uid, event, body, create_time, due_time)
   select g.id, $2, $1, g.event, g.body, $6::timestamptz, $6::timestamptz
     from unnest($3::text[], $4::text[], $5::text[]) as g (id, event, body)
    where exists (select from changed)
   on conflict (id) do nothing returning id`,
);

/**
 * Stores for the jobs $1, about which nothing is reported, what they were looked at until ($2) and when next ($3), and that
 * nobody looks before $4. Changes only those that are still taken as $5 says, and waits for no lock.
 */
export const alertJobsMove = statement<{ job_uid: string }>(
  "alertJobsMove",
  `with free as materialized (
     select job_uid from dispatcher.alert_jobs where job_uid = any ($1::text[]) for no key update skip locked
   )
   update dispatcher.alert_jobs j set watched_until = w.watched_until, look_time = w.look_time, held_until = $4
     from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $5::timestamptz[])
       as w (job_uid, watched_until, look_time, taken)
    where j.job_uid = w.job_uid and j.held_until = w.taken and j.job_uid = any (array(select job_uid from free))
   returning j.job_uid`,
);

/** Lets nobody look at the job $1 before $2, if it is still taken as $3. */
export const alertJobHold = statement<{ job_uid: string }>(
  "alertJobHold",
  `update dispatcher.alert_jobs set held_until = $2
    where job_uid = $1 and held_until = $3::timestamptz returning job_uid`,
);

/**
 * Removes the row of the job $1 if its held_until is still $2 and the job has no facts. What is noted from now on is loose: it
 * makes a row again. So does, within a minute, what is being noted at this moment (`alertFactsLoosen`).
 */
export const alertJobRemove = statement<{ job_uid: string }>(
  "alertJobRemove",
  `delete from dispatcher.alert_jobs j where j.job_uid = $1 and j.held_until = $2::timestamptz
      and not exists (select from dispatcher.alert_facts f where f.job_uid = j.job_uid)
   returning j.job_uid`,
);

/** Forgets the job $1, which has no alerts any more, and its facts, if its held_until is still $2. */
export const alertJobForget = statement<{ job_uid: string }>(
  "alertJobForget",
  `with gone as (
     delete from dispatcher.alert_jobs where job_uid = $1 and held_until = $2::timestamptz returning job_uid
   ), forgotten as (
     delete from dispatcher.alert_facts where job_uid = $1 and exists (select from gone)
   )
   select job_uid from gone`,
);

/** An alert to be sent. Times are epoch milliseconds. */
export interface AlertRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_uid: string;
  readonly event: string;
  readonly body: string;
  readonly attempt_count: number;
  readonly create_time: number;
}

/** A project's part of a page of alerts that are due. */
export interface DueAlertsRow {
  readonly project_id: string;
  /** How many alerts of the page are the project's. */
  readonly seen: number;
  /** The first of them. */
  readonly ids: readonly string[];
}

/**
 * Lists of the $4 alerts that have been due at $1 for the longest time, without those of the projects $3, the first $2 of
 * each project; the project with the longest due first.
 */
export const alertsListDue = statement<DueAlertsRow>(
  "alertsListDue",
  `with due as materialized (
     select a.id, a.project_id, a.due_time from dispatcher.alerts a
      where a.due_time <= $1 and a.project_id <> all ($3::text[]) order by a.due_time limit $4
   )
   select d.project_id, count(*)::integer as seen, (array_agg(d.id order by d.due_time))[1:$2::integer] as ids
     from due d group by d.project_id order by min(d.due_time)`,
);

/**
 * Takes the alerts $1 as far as they are still due at $2, and counts an attempt of each. If their results are not recorded by
 * $3, they are due again. Alerts that another transaction has locked are left out.
 */
export const alertsTake = statement<AlertRow>(
  "alertsTake",
  `with taken as materialized (
     select a.id from dispatcher.alerts a
      where a.id = any ($1::text[]) and a.due_time <= $2 for no key update skip locked
   )
   update dispatcher.alerts a set attempt_count = a.attempt_count + 1, due_time = $3
    where a.id = any (array(select id from taken))
   returning a.id, a.project_id, a.job_uid, a.event, a.body, a.attempt_count, a.create_time`,
);

/** Records what became of attempt $2 of alert $1: its state, when it is due again or has ended, and the error. */
export const alertRecordAttempt = statement<{ id: string }>(
  "alertRecordAttempt",
  `update dispatcher.alerts set state = $3, due_time = $4::timestamptz, end_time = $5::timestamptz, last_error = $6
    where id = $1 and attempt_count = $2 and state = 'PENDING' returning id`,
);

/** Reads the specification that is in effect for job $1. */
export const alertCurrentRevision = statement<{ revision: number }>(
  "alertCurrentRevision",
  `select revision from scheduler.watched_epochs(array[$1], array[now()]) order by epoch desc limit 1`,
);

/**
 * Makes at most 1,000 facts loose whose jobs have no row. A fact is without one when the row was removed while the fact was
 * being noted.
 */
export const alertFactsLoosen = statement<{ job_uid: string }>(
  "alertFactsLoosen",
  `with lost as materialized (
     select f.job_uid, f.kind, f.cause from dispatcher.alert_facts f
      where not f.is_loose and f.project_id is not null
        and not exists (select from dispatcher.alert_jobs j where j.job_uid = f.job_uid)
      limit 1000 for no key update skip locked
   )
   update dispatcher.alert_facts f set is_loose = true
     from lost l where f.job_uid = l.job_uid and f.kind = l.kind and f.cause = l.cause
   returning f.job_uid`,
);

/** Deletes at most 1,000 alerts that ended before $1, and facts that were noted before $1 about jobs that are forgotten. */
export const alertsDeleteOld = statement<{ id: string }>(
  "alertsDeleteOld",
  `with forgotten as (
     delete from dispatcher.alert_facts f
      where f.fact_time < $1 and not exists (select from dispatcher.alert_jobs j where j.job_uid = f.job_uid)
   )
   delete from dispatcher.alerts
    where id = any (array(select id from dispatcher.alerts where end_time < $1 order by end_time limit 1000))
   returning id`,
);
