import { statement } from "../../db/statement.ts";

/** What `triggerAccept` returns about one event, or about the whole batch. */
export interface AcceptedRow {
  /** The trigger's id; empty if the outcome is LATE. */
  readonly id: string;
  /**
   * OWNED and RECORDED: this statement recorded the trigger, with an owner or without. CONTENDED: it did not, because
   * another transaction has locked the job, or a partition in which the trigger belongs is being dropped. EXPIRED: it did
   * not, because the fire time is before the floor of its project. LATE: it recorded nothing, because the deadline had
   * passed.
   */
  readonly outcome: "OWNED" | "RECORDED" | "CONTENDED" | "EXPIRED" | "LATE";
}

/**
 * Records events whose epoch is the job's current one, unless $20 has passed by PostgreSQL's clock (null: no limit). A
 * trigger that exists already is not changed. A trigger that is due by $15 is owned by instance $14 if its lease is
 * valid; every other trigger has no owner. Nothing is returned about an event of another epoch, and about a trigger
 * that exists.
 *
 * A recorded trigger gets a row of dispatcher.live_triggers besides. If there is a row of that id already, which nothing in
 * this version leaves behind, the statement fails; `triggerAcceptAnew` is then for that event.
 *
 * It waits for no lock of a job. It reads the clock when the last job is locked, and is LATE as a whole or not at all.
 * It reads the clock again when all triggers are written, because writing may have waited, for example for another
 * dispatcher that is recording the same trigger; it then fails with SERVICE_UNAVAILABLE and has written nothing.
 *
 * A fire time before $21 may be before the floor of its project; null: none of these is. What was removed must not be
 * recorded again. It takes the advisory lock that dropping a partition takes, too (`dispatcher.drop_partition`).
 *
 * $2, $3, $11 and $12 are epoch milliseconds: PostgreSQL reads a number in a third of the time of a timestamp.
 *
 * The epochs are looked up in one jsonb value, because the planner would make a nested loop of a join of two arrays.
 */
export const triggerAccept = statement<AcceptedRow>("triggerAccept", acceptWith(""));

/**
 * Does the same, and replaces a row of dispatcher.live_triggers that a trigger of the same id has left behind. It has to look
 * for one before it writes, which takes a twelfth of the time of the whole statement.
 */
export const triggerAcceptAnew = statement<AcceptedRow>(
  "triggerAcceptAnew",
  acceptWith(`on conflict (id) do update
        set fire_time = excluded.fire_time, project_id = excluded.project_id, job_uid = excluded.job_uid,
            kind = excluded.kind, attempt_base = excluded.attempt_base, owner = excluded.owner,
            due_time = excluded.due_time`),
);

function acceptWith(conflict: string): string {
  return `with current as materialized (
     select jsonb_object_agg(uid, epoch) filter (where not contended) as epochs,
            jsonb_object_agg(uid, epoch) filter (where contended) as contended,
            coalesce(clock_timestamp() > $20::timestamptz, false) as is_late
       from scheduler.lock_current_or_skip($5::text[], $8::integer[])
   ), me as materialized (
     select id from dispatcher.instances where id = $14::text and lease_until > now()
   ), guard as materialized (
     select pg_try_advisory_xact_lock_shared(hashtext('dispatcher.drop_partition')) as is_free
   ), recorded as (
     insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
            kind, state, seq, previous_fire_time, next_fire_time, payload, owner, create_time,
            previous_skipped, previous_missed, zone_data)
     select g.id, ${toTime("g.fire_ms")}, ${toTime("g.effective_ms")}, ${toTime("g.effective_ms")}, g.project_id, g.job_uid,
            g.job_name, g.revision, g.kind, 'PENDING', g.seq, ${toTime("g.previous_ms")}, ${toTime("g.next_ms")}, g.payload,
            case when ${toTime("g.effective_ms")} <= $15::timestamptz then (select id from me) end, $16::timestamptz,
            g.previous_skipped, g.previous_missed, g.zone_data
       from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                   $7::integer[], $8::integer[], $9::text[], $10::integer[], $11::bigint[], $12::bigint[],
                   $13::text[], $17::integer[], $18::integer[], $19::text[])
         as g (id, fire_ms, effective_ms, project_id, job_uid, job_name, revision, epoch, kind, seq,
               previous_ms, next_ms, payload, previous_skipped, previous_missed, zone_data)
      cross join current
      where not current.is_late and current.epochs -> g.job_uid = to_jsonb(g.epoch)
        and ($21::timestamptz is null or ${toTime("g.fire_ms")} >= $21::timestamptz
             or (select is_free from guard)
                and not exists (select from dispatcher.retention r
                                 where r.project_id = g.project_id and r.floor_time > ${toTime("g.fire_ms")}))
     on conflict (id, fire_time) do nothing
     returning id, fire_time, project_id, job_uid, kind, owner, due_time
   ), queued as (
     insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, owner, due_time)
     select id, fire_time, project_id, job_uid, kind, owner, due_time from recorded
     ${conflict}
   )
   select id, case when owner is null then 'RECORDED' else 'OWNED' end as outcome from recorded
   union all
   select g.id, 'CONTENDED' from current
    cross join unnest($1::text[], $5::text[], $8::integer[]) as g (id, job_uid, epoch)
    where current.contended is not null and not current.is_late
      and current.contended -> g.job_uid = to_jsonb(g.epoch)
   union all
   select g.id, case when (select is_free from guard) then 'EXPIRED' else 'CONTENDED' end from current
    cross join unnest($1::text[], $2::bigint[], $4::text[], $5::text[], $8::integer[])
      as g (id, fire_ms, project_id, job_uid, epoch)
    where $21::timestamptz is not null and ${toTime("g.fire_ms")} < $21::timestamptz and not current.is_late
      and current.epochs -> g.job_uid = to_jsonb(g.epoch)
      and (not (select is_free from guard)
           or exists (select from dispatcher.retention r
                       where r.project_id = g.project_id and r.floor_time > ${toTime("g.fire_ms")}))
      and not exists (select from dispatcher.triggers t where t.id = g.id and t.fire_time = ${toTime("g.fire_ms")})
   union all
   select '', 'LATE' from current where current.is_late
   union all
   select '', 'LATE' from (select count(*) as written from recorded) as insertion
    where insertion.written > 0 and not dispatcher.fail_if_past($20::timestamptz)`;
}

/** The timestamptz of a bigint of epoch milliseconds. It is exact up to the year 4253: PostgreSQL multiplies as a double. */
function toTime(ms: string): string {
  return `'epoch'::timestamptz + ${ms} * interval '1 millisecond'`;
}
