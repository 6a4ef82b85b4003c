-- PostgreSQL reads the text of each check of a table anew for every statement that writes to it, and tests it for every row.
-- These four took a tenth of the time of a claim of 40 triggers, and the trigger note_trigger a twelfth. Nobody but the
-- dispatcher's statements and the functions here writes these columns, with constants. The tests compare what they have written (test/support/live-triggers.ts).
alter table dispatcher.triggers
  drop constraint triggers_state_check,
  drop constraint triggers_kind_check,
  drop constraint triggers_waiting_for,
  drop constraint triggers_acknowledgement;

-- What alerts report of a trigger is noted by the statements that may end it or let it fail (dispatcher/waiting/noting.sql.ts).
drop trigger note_trigger on dispatcher.triggers;
drop function dispatcher.note_trigger();

-- Notes that a trigger is EXHAUSTED, or RETRYING after of_attempts failed attempts since it was last made due.
create function dispatcher.note_failure(
  of_job_uid text, of_state text, of_trigger_id text, of_attempt integer, of_attempts integer, of_end_time timestamptz,
  of_fire_time timestamptz)
returns void
language sql security definer set search_path = pg_catalog
as $$
  select dispatcher.note_alert(of_job_uid, case of_state when 'EXHAUSTED' then 'EXHAUSTED' else 'FAILING' end,
    of_trigger_id || '/' || of_attempt, coalesce(of_end_time, clock_timestamp()), '', of_fire_time, of_fire_time, 1,
    of_trigger_id, of_attempts)
$$;

revoke execute on function dispatcher.note_failure from public;
grant execute on function dispatcher.note_failure to easycron_dispatcher;
