import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SqlValue } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  instanceBeat,
  instanceListDead,
  instanceListOverdue,
  instanceListStalled,
} from "../instances/instances.sql.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { triggerTakeDue, triggerTakeStalled } from "../waiting/triggers.sql.ts";

const TRIGGERS = 20_000;
/** What a statement may read. Reading over the dead rows takes several hundred buffers more. */
const MOST_BUFFERS = 60;

let ground: Ground;
let snapshot: pg.Client;
let dispatcher: pg.Client;

beforeAll(async () => {
  ground = await createGround();
  snapshot = new pg.Client({ connectionString: ground.adminUrl });
  dispatcher = new pg.Client({
    connectionString: ground.databaseUrl,
    options: "-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan",
  });
  await Promise.all([snapshot.connect(), dispatcher.connect()]);
  await ground.sql(
    `insert into dispatcher.instances (id, start_time, lease_until, alive_time)
     values ('inst_me', now(), now() + interval '1 hour', now()),
            ('inst_stalled', now(), now() + interval '1 hour', now() - interval '1 minute')`,
  );
  // As pg_dump does: from here on, no dead row can be removed.
  await snapshot.query("begin isolation level repeatable read");
  await snapshot.query("select count(*) from dispatcher.triggers");
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, owner, create_time)
     select 'trg_' || n, at, at, at, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', 1,
            (array[null, 'inst_me', 'inst_stalled'])[n % 3 + 1], at
       from generate_series(1, $1::integer) as n
      cross join lateral (select now() - interval '1 hour' + n * interval '100 milliseconds' as at) as due`,
    [TRIGGERS],
  );
  await ground.sql("update dispatcher.triggers set state = 'SUCCEEDED', owner = null, end_time = now()");
});

afterAll(async () => {
  await snapshot.end();
  await dispatcher.end();
  await ground.end();
});

/** Runs a statement in a transaction that is rolled back. Returns how many buffers it read. */
async function buffersOf<Row>({ text }: Statement<Row>, values: readonly SqlValue[]): Promise<number> {
  await dispatcher.query("begin");
  const { rows } = await dispatcher.query(`explain (analyze, buffers, format json) ${text}`, [...values]);
  await dispatcher.query("rollback");
  const plan = rows[0]["QUERY PLAN"][0].Plan;
  return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
}

const takeDueFrom = (fromMs: number) => [
  "inst_me",
  toSqlTime(Date.now() + 10_000),
  1_000,
  [],
  [],
  false,
  toSqlTime(fromMs),
  [],
  null,
];

const overdueFrom = (fromMs: number) => [
  "inst_me",
  toSqlTime(Date.now() - 15_000),
  toSqlTime(fromMs),
  "",
  1_000,
];

const takeStalled = [["inst_stalled"], 1_000, [], [], false, [], null, "inst_me"];

test("while a long snapshot is held, what runs often does not read over the dead rows that it keeps", async () => {
  const recentMs = Date.now() - 60_000;
  const read = {
    takeDue: await buffersOf(triggerTakeDue, takeDueFrom(recentMs)),
    listOverdue: await buffersOf(instanceListOverdue, overdueFrom(recentMs)),
    listDead: await buffersOf(instanceListDead, []),
    listStalled: await buffersOf(instanceListStalled, ["inst_me", 600, 60_000]),
    takeStalled: await buffersOf(triggerTakeStalled, takeStalled),
    beat: await buffersOf(instanceBeat, ["inst_me"]),
  };
  console.log(`buffers read with ${TRIGGERS} dead rows: ${JSON.stringify(read)}`);
  expect(Object.entries(read).filter(([, buffers]) => buffers > MOST_BUFFERS)).toEqual([]);
  // The snapshot does keep them: full scans, which are made from time to time only, read over them.
  expect(await buffersOf(triggerTakeDue, takeDueFrom(0))).toBeGreaterThan(3 * MOST_BUFFERS);
  expect(await buffersOf(instanceListOverdue, overdueFrom(0))).toBeGreaterThan(3 * MOST_BUFFERS);
});
