import pg from "pg";
import { expect, test } from "vitest";
import { instanceReleaseTriggers } from "../instances/instances.sql.ts";
import { resultRecord } from "../results/results.sql.ts";
import { createGround } from "../testing/ground.ts";
import { triggerExhaust, triggerGiveUp, triggerTakeDue, triggerUnclaim } from "./triggers.sql.ts";

interface PlanNode {
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

/** The indexes with which a plan reads dispatcher.live_triggers to change it. */
function indexesOf(node: PlanNode): string[] {
  const own = node["Index Name"]?.startsWith("live_triggers") ? [node["Index Name"]] : [];
  return [...own, ...(node.Plans ?? []).flatMap(indexesOf)];
}

// Statements are planned when a dispatcher starts, often while the table is empty, and keep their plans while it grows.
test.each([
  [resultRecord, ["live_triggers_pkey", "live_triggers_pkey"]],
  [triggerExhaust, ["live_triggers_pkey"]],
  [triggerGiveUp, ["live_triggers_pkey"]],
  [triggerUnclaim, ["live_triggers_pkey", "live_triggers_pkey"]],
  [triggerTakeDue, ["live_triggers_due", "live_triggers_pkey"]],
  [instanceReleaseTriggers, ["live_triggers_due", "live_triggers_pkey", "live_triggers_pkey"]],
])(
  "$name finds live triggers by the index made for that, planned while the table is empty",
  async (of, indexes) => {
    const ground = await createGround();
    const options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
    const client = new pg.Client({ connectionString: ground.databaseUrl, options });
    await client.connect();
    await client.query(`prepare it as ${of.text}`);
    const [types] = (
      await client.query("select cardinality(parameter_types) as n from pg_prepared_statements")
    ).rows;
    const values = Array.from({ length: types.n }, () => "null").join(", ");
    const { rows } = await client.query(`explain (format json) execute it(${values})`);
    await client.end();
    expect(indexesOf(rows[0]["QUERY PLAN"][0].Plan).toSorted()).toEqual(indexes);
    await ground.end();
  },
);
