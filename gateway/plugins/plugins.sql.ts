import { statement } from "../../db/statement.ts";
import type { KindName } from "./kinds.ts";

/*
 * The wanted state of each plugin. Whoever changes it, or the broker, holds the row's lease meanwhile: `lease_owner` is an
 * id of that one piece of work, and every write names it. Leases go by PostgreSQL's clock. The other times go by the
 * parameter that is called the time: null means PostgreSQL's.
 */

/** The states of a plugin. */
export type PluginStateName = "PROVISIONING" | "ENABLED" | "DISABLING" | "DISABLED" | "FAILED";

/** A plugin of a project. Times are epoch milliseconds. */
export interface PluginRow {
  readonly project_id: string;
  readonly kind: KindName;
  readonly state: PluginStateName;
  readonly state_reason: string;
  readonly is_usable: boolean;
  /** PluginLimits as proto3 JSON. */
  readonly limits: unknown;
  /** Each a PluginTopic as proto3 JSON. */
  readonly topics: readonly unknown[];
  readonly deleted_topics: readonly string[];
  readonly last_credential: number;
  readonly is_read_only: boolean;
  readonly endpoint: string;
  readonly is_forced: boolean;
  readonly is_cut_off: boolean;
  readonly create_time: number;
  readonly data_remove_time: number | null;
  readonly is_data_removed: boolean;
  readonly used_bytes: number;
  readonly used_keys: number;
  readonly used_topics: number;
  readonly used_partitions: number;
  readonly connections: number;
  readonly measure_time: number | null;
  readonly failures: number;
}

/** The columns of a PluginRow; the table is called p. */
export const PLUGIN_COLUMNS = `p.project_id, p.kind, p.state, p.state_reason, p.is_usable, p.limits, p.topics, p.deleted_topics,
          p.last_credential, p.is_read_only, p.endpoint, p.is_forced, p.is_cut_off, p.create_time,
          p.data_remove_time, p.is_data_removed, p.used_bytes, p.used_keys, p.used_topics, p.used_partitions,
          p.connections, p.measure_time, p.failures`;

/** Returns one plugin of a project ($1), of a kind ($2). */
export const pluginByKind = statement<PluginRow>(
  "pluginByKind",
  `select ${PLUGIN_COLUMNS} from gateway.plugins p where p.project_id = $1 and p.kind = $2`,
);

/** Lists the plugins of a project ($1), Redis first. */
export const pluginsByProject = statement<PluginRow>(
  "pluginsByProject",
  `select ${PLUGIN_COLUMNS} from gateway.plugins p where p.project_id = $1 order by p.kind desc`,
);

/**
 * Creates the plugin of a project ($1), of a kind ($2), with limits ($3), topics ($4) and an endpoint ($5), if it has none.
 * $6 is the time. The loop leaves the call that creates it 15 s to set it up.
 */
export const pluginInsertIfAbsent = statement<{ kind: string }>(
  "pluginInsertIfAbsent",
  `insert into gateway.plugins (project_id, kind, state, limits, topics, endpoint, create_time, reconcile_time)
   select $1, $2, 'PROVISIONING', $3::jsonb, $4::jsonb, $5, t.now, t.now + interval '15 seconds'
     from (select coalesce($6::timestamptz, now()) as now) t
   on conflict (project_id, kind) do nothing
   returning kind`,
);

/** Takes the lease of a plugin ($1, $2) for an owner ($3), for $4 milliseconds. Returns no row while another has it. */
export const pluginTakeIfFree = statement<PluginRow>(
  "pluginTakeIfFree",
  `update gateway.plugins p
      set lease_owner = $3, lease_end = clock_timestamp() + $4::integer * interval '1 millisecond'
    where p.project_id = $1 and p.kind = $2 and (p.lease_end is null or p.lease_end <= clock_timestamp())
   returning ${PLUGIN_COLUMNS}`,
);

/** Lets the lease of an owner ($3) end $4 milliseconds from now. Returns no row if it is another's by now. */
export const pluginExtendLease = statement<{ kind: string }>(
  "pluginExtendLease",
  `update gateway.plugins
      set lease_end = clock_timestamp() + $4::integer * interval '1 millisecond'
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);

/** Gives the lease of an owner ($3) back. */
export const pluginRelease = statement<{ kind: string }>(
  "pluginRelease",
  `update gateway.plugins set lease_owner = null, lease_end = null
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);

/**
 * Begins to enable a plugin ($1, $2, owner $3) with limits ($4), topics ($5) and an endpoint ($6), and takes the number of
 * new credentials. $7 is the time. Data that is kept stays.
 */
export const pluginBeginEnable = statement<PluginRow>(
  "pluginBeginEnable",
  `update gateway.plugins p
      set state = 'PROVISIONING', state_reason = '', limits = $4::jsonb, topics = $5::jsonb, deleted_topics = '[]',
          endpoint = $6, last_credential = last_credential + 1, is_cut_off = false, is_forced = false,
          data_remove_time = null, is_data_removed = false, failures = 0,
          reconcile_time = coalesce($7::timestamptz, now())
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/** Begins to set up again a plugin ($1, $2, owner $3) that customers use, as it is. $4 is the time. */
export const pluginBeginAgain = statement<PluginRow>(
  "pluginBeginAgain",
  `update gateway.plugins p
      set state = 'PROVISIONING', is_forced = false, data_remove_time = null,
          reconcile_time = coalesce($4::timestamptz, now())
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/** Begins to rotate the credentials of a plugin ($1, $2, owner $3): takes the number of new ones. $4 is the time. */
export const pluginBeginRotate = statement<PluginRow>(
  "pluginBeginRotate",
  `update gateway.plugins p
      set state = 'PROVISIONING', last_credential = last_credential + 1,
          reconcile_time = coalesce($4::timestamptz, now())
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/** Writes what is wanted of a plugin ($1, $2, owner $3): limits ($4), topics ($5), topics to delete ($6). $7 is the time. */
export const pluginBeginUpdate = statement<PluginRow>(
  "pluginBeginUpdate",
  `update gateway.plugins p
      set state = 'PROVISIONING', limits = $4::jsonb, topics = $5::jsonb, deleted_topics = $6::jsonb,
          reconcile_time = coalesce($7::timestamptz, now())
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/**
 * Writes that the broker is as a plugin's row ($1, $2, owner $3) says, and gives the lease back. $4 is the endpoint, or
 * null if it stays; $5 the reason to show; $6 whether it was set up as read-only: if that has changed meanwhile, the plugin
 * is due at once. Otherwise it is due after $7 milliseconds, or when its first credentials expire. $8 is the time.
 */
export const pluginFinishProvision = statement<PluginRow>(
  "pluginFinishProvision",
  `update gateway.plugins p
      set state = 'ENABLED', state_reason = $5, is_usable = true, deleted_topics = '[]', failures = 0,
          endpoint = coalesce($4, p.endpoint), next_measure_time = coalesce(p.next_measure_time, t.now),
          reconcile_time = case when p.is_read_only is distinct from $6::boolean then t.now
                                else least(t.now + $7::integer * interval '1 millisecond', t.first_end) end,
          lease_owner = null, lease_end = null
     from (select coalesce($8::timestamptz, now()) as now,
                  (select min(c.expire_time) from gateway.plugin_credentials c
                    where c.project_id = $1 and c.kind = $2) as first_end) t
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/**
 * Writes that a step of a plugin ($1, $2, owner $3) failed: the state ($4) and the reason ($5). It is due again after $6
 * milliseconds. Gives the lease back. $7 is the time.
 */
export const pluginNoteFailure = statement<{ failures: number }>(
  "pluginNoteFailure",
  `update gateway.plugins
      set state = $4, state_reason = $5, failures = failures + 1,
          reconcile_time = coalesce($7::timestamptz, now()) + $6::integer * interval '1 millisecond',
          lease_owner = null, lease_end = null
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning failures`,
);

/**
 * Begins to disable a plugin ($1, $2, owner $3): whether jobs are to be paused ($4), and that the data is removed $5
 * milliseconds after the time ($6).
 */
export const pluginBeginDisable = statement<PluginRow>(
  "pluginBeginDisable",
  `update gateway.plugins p
      set state = 'DISABLING', state_reason = '', is_forced = $4, failures = 0,
          data_remove_time = t.now + $5::bigint * interval '1 millisecond', reconcile_time = t.now
     from (select coalesce($6::timestamptz, now()) as now) t
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/** Takes the disabling of a plugin ($1, $2, owner $3) back, because jobs use it. Gives the lease back. $4 is the time. */
export const pluginKeepEnabled = statement<{ kind: string }>(
  "pluginKeepEnabled",
  `update gateway.plugins
      set state = case when is_usable then 'ENABLED' else 'PROVISIONING' end, data_remove_time = null,
          reconcile_time = coalesce($4::timestamptz, now()), lease_owner = null, lease_end = null
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);

/** Writes that the access to a plugin ($1, $2, owner $3) is being taken away. From here on there is no way back. */
export const pluginCutOff = statement<{ kind: string }>(
  "pluginCutOff",
  `update gateway.plugins set is_cut_off = true, is_usable = false
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);

/**
 * Writes that a plugin ($1, $2, owner $3) is DISABLED, and gives the lease back. It is due after $4 milliseconds, or when
 * its data is to be removed. $5 is the time.
 */
export const pluginFinishDisable = statement<PluginRow>(
  "pluginFinishDisable",
  `update gateway.plugins p
      set state = 'DISABLED', state_reason = '', is_usable = false, is_read_only = false, deleted_topics = '[]',
          failures = 0, next_measure_time = null,
          reconcile_time = least(p.data_remove_time,
                                 coalesce($5::timestamptz, now()) + $4::integer * interval '1 millisecond'),
          lease_owner = null, lease_end = null
    where p.project_id = $1 and p.kind = $2 and p.lease_owner = $3
   returning ${PLUGIN_COLUMNS}`,
);

/** Makes a DISABLED plugin ($1, $2, owner $3) due when its data is to be removed, and gives the lease back. */
export const pluginAwaitRemoval = statement<{ kind: string }>(
  "pluginAwaitRemoval",
  `update gateway.plugins
      set state_reason = '', failures = 0, reconcile_time = data_remove_time, lease_owner = null, lease_end = null
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);

/** Writes that the data of a DISABLED plugin ($1, $2, owner $3) is removed, and gives the lease back. */
export const pluginFinishRemove = statement<{ kind: string }>(
  "pluginFinishRemove",
  `update gateway.plugins
      set is_data_removed = true, state_reason = '', failures = 0, topics = '[]', used_bytes = 0, used_keys = 0,
          used_topics = 0, used_partitions = 0, connections = 0, measure_time = null, reconcile_time = null,
          lease_owner = null, lease_end = null
    where project_id = $1 and kind = $2 and lease_owner = $3
   returning kind`,
);
