import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createFakeClock } from "../fakes/fake-clock.ts";
import { describeStore } from "../testing/store-suite.ts";
import { postgresStore, postgresTable } from "./postgres-store.ts";

describeStore(
  "PostgreSQL",
  async () => {
    const database = await createDatabase();
    const pool = new pg.Pool({ connectionString: database.url(), max: 5 });
    await pool.query(postgresTable());
    return {
      create: (options) => postgresStore(pool, options),
      stop: async () => {
        await pool.end();
        await database.drop();
      },
    };
  },
  { runs: 30 },
);

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url(), max: 5 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

test("the table can have another name and schema, and is created once", async () => {
  await pool.query("create schema shop");
  await pool.query(postgresTable("shop.done"));
  await pool.query(postgresTable("shop.done"));
  const store = postgresStore(pool, { table: "shop.done" });
  expect(await store.claim("a", { leaseMs: 1_000 })).toMatchObject({ kind: "CLAIMED" });
  expect(() => postgresTable("a; drop table b")).toThrow(RangeError);
  expect(() => postgresStore(pool, { table: "A" })).toThrow(RangeError);
});

test("old rows are removed as new ones come, but neither claims in progress nor texts of the last 400 days", async () => {
  await pool.query(postgresTable());
  const clock = createFakeClock();
  const store = postgresStore(pool, { keepMs: 60_000, clock });
  const claim = (id: string, leaseMs: number) => store.claim(id, { leaseMs });
  const done = await claim("done", 1_000);
  if (done.kind === "CLAIMED") await store.complete("done", done.token, "1");
  await claim("dead", 1_000);
  await claim("busy", 3_600_000);
  await store.swap("chain", undefined, "1");
  await clock.advance(60_001);
  for (let number = 0; number < 100; number++) await claim(`new-${number}`, 1_000);
  const { rows } = await pool.query("select id from easycron_once where id not like 'new-%' order by id");
  expect(rows).toEqual([{ id: "busy" }, { id: "text:chain" }]);
});

test("PostgreSQL's own clock decides when none is given", async () => {
  const store = postgresStore(pool);
  const { rows } = await pool.query("select extract(epoch from now())::float8 * 1000000 as now");
  const claimed = await store.claim("own-clock", { leaseMs: 60_000 });
  expect(claimed.kind === "CLAIMED" && claimed.token).toBeGreaterThan(rows[0].now);
  const held = await store.claim("own-clock", { leaseMs: 1_000 });
  expect(held.kind === "HELD" && held.retryAfterMs).toBeGreaterThan(30_000);
});
