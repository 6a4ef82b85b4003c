import type { Queryable } from "../../db/pool.ts";
import { pluginStates } from "./due.sql.ts";
import { toWord } from "./kinds.ts";

/** What jobs of a project may have as target, by the name of the target. A plugin that was never enabled is missing. */
export type JobPlugins = Readonly<
  Partial<Record<"redis" | "kafka", { readonly state: string; readonly isUsable: boolean }>>
>;

/**
 * Reads which plugins jobs of a project may have as target: those that are ENABLED, and those that are set up again after
 * they were. Throws SERVICE_UNAVAILABLE if the database does not answer.
 */
export async function readJobPlugins(database: Queryable, projectId: string): Promise<JobPlugins> {
  const rows = await database.query(pluginStates, [projectId]);
  return Object.fromEntries(
    rows.map(({ kind, state, is_usable: wasEnabled }) => {
      const isUsable = state === "ENABLED" || (state === "PROVISIONING" && wasEnabled);
      return [toWord(kind), { state, isUsable }];
    }),
  );
}
