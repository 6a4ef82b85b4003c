import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { startTcpProxy, type TcpProxy } from "../test/support/tcp-proxy.ts";
import { startDatabaseClock } from "./database-clock.ts";
import { createPool, type Pool } from "./pool.ts";

let database: TestDatabase;
let proxy: TcpProxy;
let pool: Pool;
let admin: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  const url = new URL(database.url());
  proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  pool = createPool({ connectionString: url.href, max: 1, applicationName: "test" });
  admin = new pg.Client(database.url());
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await pool.close();
  await proxy.stop();
  await database.drop();
});

/** What a clock logs, and a promise for its next line. */
function createLog() {
  const lines: { readonly message: string; readonly fields: object }[] = [];
  let told = Promise.withResolvers<void>();
  const add = (fields: object, message: string) => {
    lines.push({ message, fields });
    told.resolve();
    told = Promise.withResolvers();
  };
  return { lines, logger: { info: add, warn: add }, next: () => told.promise };
}

const readNow = async () =>
  Number((await admin.query("select extract(epoch from clock_timestamp()) * 1000 as ms")).rows[0].ms);

test("a service's clock is not ahead of PostgreSQL's, and reads it again when PostgreSQL is back", async () => {
  const { lines, logger, next } = createLog();
  const clock = await startDatabaseClock({ database: pool, logger });
  for (let round = 0; round < 20; round++) {
    const shownMs = clock.now();
    expect(shownMs).toBeLessThanOrEqual(await readNow());
  }
  const beforeMs = await readNow();
  expect(clock.now()).toBeGreaterThan(beforeMs - 1_000);
  const failed = next();
  proxy.cut();
  await failed;
  expect(clock.now()).toBeLessThanOrEqual(await readNow());
  const recovered = next();
  proxy.restore();
  await recovered;
  expect(lines.map(({ message }) => message)).toEqual([
    "cannot read PostgreSQL's clock; going on without it",
    "reading PostgreSQL's clock again",
  ]);
  await clock.stop();
});

test("a machine whose clock is half a second ahead of PostgreSQL's is warned about, and its clock is not used", async () => {
  const { lines, logger, next } = createLog();
  const machineClock = { now: () => Date.now() + 500 };
  const warned = next();
  const clock = await startDatabaseClock({ database: pool, machineClock, logger });
  await warned;
  const message = "this machine's clock differs from PostgreSQL's, which is used";
  expect(lines).toEqual([{ message, fields: { differenceMs: expect.toSatisfy((ms: number) => ms > 100) } }]);
  expect(clock.now()).toBeLessThanOrEqual(await readNow());
  await clock.stop();
});

test("a service's clock cannot start while PostgreSQL cannot be reached", async () => {
  proxy.cut();
  const starting = startDatabaseClock({ database: pool, logger: createLog().logger });
  await expect(starting).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  proxy.restore();
});
