import { statement } from "../../db/statement.ts";
import type { KindName } from "./kinds.ts";
import { PLUGIN_COLUMNS, type PluginRow } from "./plugins.sql.ts";

/** What is due at the time ($1), if anything is, and whether anybody uses a Redis. */
export const pluginsDue = statement<{ is_due: boolean; is_unmeasured: boolean; is_redis_used: boolean }>(
  "pluginsDue",
  `select coalesce(bool_or(exists (
            select from gateway.plugins p
             where p.kind = k.kind and p.reconcile_time <= t.now
               and (p.lease_end is null or p.lease_end <= clock_timestamp()))), false) as is_due,
          coalesce(bool_or(exists (
            select from gateway.plugins p where p.kind = k.kind and p.next_measure_time <= t.now)), false) as is_unmeasured,
          exists (
            select from gateway.plugins p
             where p.kind = 'REDIS' and p.next_measure_time is not null) as is_redis_used
     from (values ('REDIS'), ('KAFKA')) as k (kind), (select coalesce($1::timestamptz, now()) as now) t`,
);

/**
 * Makes the plugins of a kind ($1) that customers use due at the time ($2), because the broker may have forgotten their users.
 */
export const pluginsMakeDue = statement<{ project_id: string }>(
  "pluginsMakeDue",
  `update gateway.plugins p
      set reconcile_time = t.now
     from (select coalesce($2::timestamptz, now()) as now) t
    where p.kind = $1 and p.is_usable and p.reconcile_time > t.now
   returning p.project_id`,
);

/** A plugin whose lease was taken because it is due. */
export interface DueRow extends PluginRow {
  /** Whether its data is to be removed now, if it is DISABLED. */
  readonly is_removal_due: boolean;
}

/**
 * Takes the leases of plugins that are due at the time ($1), those that are due longest first: at most $2 of Redis and $3
 * of Kafka. The owner is $4, and the leases are for $5 milliseconds. Leaves out what somebody else works on.
 */
export const pluginsTakeDue = statement<DueRow>(
  "pluginsTakeDue",
  `with due as (
     select d.project_id, d.kind
       from (values ('REDIS', $2::integer), ('KAFKA', $3::integer)) as room (kind, free)
      cross join lateral (
        select p.project_id, p.kind
          from gateway.plugins p
         where p.kind = room.kind and p.reconcile_time <= coalesce($1::timestamptz, now())
           and (p.lease_end is null or p.lease_end <= clock_timestamp())
         order by p.reconcile_time
         limit room.free
           for update skip locked
      ) d
   )
   update gateway.plugins p
      set lease_owner = $4, lease_end = clock_timestamp() + $5::integer * interval '1 millisecond'
     from due
    where p.project_id = due.project_id and p.kind = due.kind
   returning ${PLUGIN_COLUMNS}, coalesce(p.data_remove_time <= coalesce($1::timestamptz, now()), false) as is_removal_due`,
);

/** A plugin to be measured, with what was wanted of it then. */
export interface UnmeasuredRow {
  readonly project_id: string;
  /** PluginLimits as proto3 JSON. */
  readonly limits: unknown;
  readonly is_read_only: boolean;
}

/**
 * Chooses at most $3 plugins of a kind ($2) whose measurement is due at the time ($1), and makes the next one due $4
 * milliseconds later. So no other gateway measures them meanwhile, and a failed measurement is not repeated at once.
 */
export const pluginsTakeUnmeasured = statement<UnmeasuredRow>(
  "pluginsTakeUnmeasured",
  `with due as (
     select p.project_id
       from gateway.plugins p
      where p.kind = $2 and p.next_measure_time <= coalesce($1::timestamptz, now())
      order by p.next_measure_time
      limit $3
        for update skip locked
   )
   update gateway.plugins p
      set next_measure_time = coalesce($1::timestamptz, now()) + $4::integer * interval '1 millisecond'
     from due
    where p.project_id = due.project_id and p.kind = $2
   returning p.project_id, p.limits, p.is_read_only`,
);

/**
 * Writes what plugins of a kind ($2) use, measured at the time ($1), by their projects ($3). Those whose writing is to be
 * stopped or allowed again ($9) are due at once. Leaves out those that are disabled by now.
 */
export const pluginsNoteUsage = statement<{ project_id: string }>(
  "pluginsNoteUsage",
  `update gateway.plugins p
      set used_bytes = u.bytes, used_keys = u.keys, used_topics = u.topics, used_partitions = u.partitions,
          connections = u.connections, measure_time = t.now, is_read_only = u.is_read_only,
          reconcile_time = case when p.is_read_only is distinct from u.is_read_only then least(p.reconcile_time, t.now)
                                else p.reconcile_time end
     from unnest($3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[], $8::integer[], $9::boolean[])
            as u (project_id, bytes, keys, topics, partitions, connections, is_read_only),
          (select coalesce($1::timestamptz, now()) as now) t
    where p.project_id = u.project_id and p.kind = $2 and p.next_measure_time is not null
   returning p.project_id`,
);

/** Returns the states of a project's plugins ($1), for what jobs may have as target. */
export const pluginStates = statement<{ kind: KindName; state: string; is_usable: boolean }>(
  "pluginStates",
  `select kind, state, is_usable from gateway.plugins where project_id = $1`,
);
