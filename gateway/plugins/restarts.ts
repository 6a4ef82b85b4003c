import { pluginsMakeDue } from "./due.sql.ts";
import { type KindName, toKind } from "./kinds.ts";
import { type PluginParts, sqlNow } from "./parts.ts";

const DEADLINE_MS = 3_000;
/** How many runs of a broker are remembered. */
const MAX_KNOWN = 100;

/**
 * Returns a function that looks at a broker of a kind, and makes all its plugins due when it is another run of the broker than
 * those seen before: a Redis that restarts forgets its users. The first look makes them due, too, because nobody knows
 * whether the broker was restarted before. The function returns whether it made any due; it throws what plugin delivery
 * and the database throw.
 *
 * Several processes of plugin delivery may see the new run at different moments. So all runs are remembered, not the last.
 */
export function createRestartWatch(parts: PluginParts): (kind: KindName) => Promise<boolean> {
  const known = new Set<string>();
  return async (kind) => {
    const { offers } = await parts.delivery.describePlugins(
      { kind: toKind(kind) },
      { deadlineMs: DEADLINE_MS },
    );
    const runId = offers.find((offer) => offer.kind === toKind(kind))?.runId ?? "";
    const run = `${kind} ${runId}`;
    if (runId === "" || known.has(run)) return false;
    const rows = await parts.database.query(pluginsMakeDue, [kind, sqlNow(parts)]);
    const isFirst = known.size === 0;
    if (known.size >= MAX_KNOWN) known.clear();
    known.add(run);
    if (!isFirst) {
      const words = "the broker was restarted or is another one; its plugins are set up again";
      parts.logger.info({ kind, plugins: rows.length }, words);
    }
    return rows.length > 0;
  };
}
