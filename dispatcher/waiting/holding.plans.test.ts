import pg from "pg";
import { expect, test } from "vitest";
import { instanceReleaseTriggers } from "../instances/instances.sql.ts";
import { backlogCount } from "../measuring/backlog.sql.ts";
import { resultRecord, resultSucceed } from "../results/results.sql.ts";
import { createGround } from "../testing/ground.ts";
import {
  triggerClaim,
  triggerExhaust,
  triggerGiveUp,
  triggerTakeDue,
  triggerUnclaim,
} from "./triggers.sql.ts";

interface PlanNode {
  readonly "Node Type": string;
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
  [resultSucceed, ["live_triggers_pkey"]],
  [triggerExhaust, ["live_triggers_pkey"]],
  [triggerGiveUp, ["live_triggers_pkey"]],
  [triggerUnclaim, ["live_triggers_pkey", "live_triggers_pkey"]],
  [triggerTakeDue, ["live_triggers_due", "live_triggers_pkey"]],
  [backlogCount, ["live_triggers_due", "live_triggers_due"]],
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

test.each([triggerClaim, resultRecord, resultSucceed])(
  "$name finds what it has locked by its place, and looks its id up in a hash table",
  async ({ text }) => {
    const ground = await createGround();
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
         kind, state, seq, create_time)
       select 'trg_' || n, now(), now(), now(), 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', 1, now()
         from generate_series(1, 5000) as n`,
    );
    await ground.sql("analyze dispatcher.triggers");
    const options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
    const client = new pg.Client({ connectionString: ground.databaseUrl, options });
    await client.connect();
    await client.query(`prepare it as ${text}`);
    const [types] = (
      await client.query("select cardinality(parameter_types) as n from pg_prepared_statements")
    ).rows;
    const values = Array.from({ length: types.n }, () => "null").join(", ");
    const { rows } = await client.query(`explain execute it(${values})`);
    await client.end();
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toMatch(/Tid Scan on triggers_default/);
    expect(plan).toMatch(/hashed SubPlan/);
    await ground.end();
  },
);

/** The tables that the statements of a function read as a whole, with the statistics of one live trigger. */
async function scannedBy(call: string): Promise<string[]> {
  const ground = await createGround();
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time)
     select 'trg_1', at, at, at, 'proj_1', 'job_1', 'job', 1, 'CATCHUP', 'PENDING', 1, now()
       from (select now() + interval '1 h' as at) as it`,
  );
  await ground.sql("analyze dispatcher.triggers, dispatcher.live_triggers");
  const client = new pg.Client({ connectionString: ground.adminUrl });
  await client.connect();
  const plans: PlanNode[] = [];
  client.on("notice", ({ message = "" }) => {
    const json = /plan:\n(\{.*)$/s.exec(message)?.[1];
    if (json !== undefined) plans.push(JSON.parse(json).Plan);
  });
  await client.query(
    `load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
     set auto_explain.log_format = json; set client_min_messages = log`,
  );
  await client.query(call);
  await client.end();
  await ground.end();
  const own = plans.filter((plan) => readsOf(plan).length > 0);
  expect(own.length).toBeGreaterThan(0);
  return own.flatMap(readsOf).filter((read) => read.startsWith("Seq Scan"));
}

/** Each node of a plan that reads triggers: how, and of which table. */
function readsOf(node: PlanNode): string[] {
  const table = node["Relation Name"] ?? "";
  const own =
    /triggers/.test(table) && / Scan$/.test(node["Node Type"]) ? [`${node["Node Type"]} ${table}`] : [];
  return [...own, ...(node.Plans ?? []).flatMap(readsOf)];
}

test.each([
  "select dispatcher.cancel('job_1', now())",
  "select dispatcher.withdraw('job_1', now())",
  "select dispatcher.discard('proj_1', 'job_1', null, now(), now() + interval '2 h', now(), 10)",
  "select dispatcher.discard('proj_1', null, null, now(), now() + interval '2 h', now(), 10)",
  "select dispatcher.catchup_end('proj_1')",
])("%s reads no table as a whole, with the statistics of one row", async (call) => {
  expect(await scannedBy(call)).toEqual([]);
});
