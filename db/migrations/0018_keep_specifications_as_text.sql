-- A specification holds the customer's payload, which may contain what PostgreSQL cannot read as JSON: the escape \u0000.
-- A statement that read one such row would fail for every row that it reads. So the specification is text, and no
-- statement reads inside it.
alter table scheduler.revisions
  alter column spec type text using spec::text,
  -- What statements select revisions by: {"labels": {key: value}, "target": "webhook", "zones": ["Europe/Paris"]}. The
  -- scheduler computes it from the specification (scheduler/job/facets.ts).
  add column facets jsonb;

create function pg_temp.facets_of_json(spec jsonb) returns jsonb
language sql immutable
as $$
  select jsonb_build_object(
    'labels', coalesce(spec -> 'labels', '{}'),
    'target', (select kind from unnest(array['webhook', 'redis', 'kafka']) as kind where spec -> 'target' ? kind limit 1),
    'zones', (select coalesce(jsonb_agg(distinct coalesce(nullif(schedule ->> 'timeZone', ''), 'UTC')), '[]')
                from jsonb_array_elements(coalesce(spec -> 'schedules', '[]')) as schedule))
$$;

-- A specification that PostgreSQL cannot read is read without the escapes that it refuses. The expression also matches
-- escaped backslashes and keeps them, so that the text \\u0000, which is a backslash and five letters, stays whole. A
-- text that still cannot be read gets no facets: no filter finds it, and its job is reported as one that cannot be
-- computed.
create function pg_temp.facets_of(spec text) returns jsonb
language plpgsql immutable
as $$
begin
  return pg_temp.facets_of_json(spec::jsonb);
exception when data_exception then
  begin
    return pg_temp.facets_of_json(regexp_replace(spec, '(\\\\)|\\u(?:0000|d[89a-f][0-9a-f]{2})', '\1', 'gi')::jsonb);
  exception when data_exception then
    return '{}';
  end;
end
$$;

update scheduler.revisions set facets = pg_temp.facets_of(spec);
alter table scheduler.revisions alter column facets set not null;

drop function pg_temp.facets_of(text);
drop function pg_temp.facets_of_json(jsonb);
