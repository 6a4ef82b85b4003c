import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createFakeClock } from "../fakes/fake-clock.ts";
import { once } from "./once.ts";
import { HandlerTimeoutError } from "./once-error.ts";
import { postgresStore, postgresTable } from "./postgres-store.ts";
import { postgresTransactions } from "./postgres-transactions.ts";
import type { TransactionalStore } from "./store.ts";

let database: TestDatabase;
let pool: pg.Pool;
let store: TransactionalStore<pg.PoolClient>;

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url(), max: 4 });
  // A connection that is closed by its server reports it to the pool.
  pool.on("error", () => {});
  await pool.query(postgresTable());
  await pool.query("create table invoices (id text)");
  store = postgresTransactions(pool);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(() => pool.query("truncate invoices, easycron_once"));

const invoice = (id: string) =>
  once(id, store, async ({ client }) => {
    await client.query("insert into invoices values ($1)", [id]);
    return { invoice: id };
  });
const invoices = async () =>
  (await pool.query("select id from invoices order by id")).rows.map(({ id }) => id);

describe("once in a transaction", () => {
  test("commits what the handler wrote together with the record that it is done", async () => {
    expect(await invoice("a")).toEqual({ kind: "RAN", value: { invoice: "a" } });
    expect(await invoice("a")).toEqual({ kind: "ALREADY_DONE", value: { invoice: "a" } });
    expect(await invoices()).toEqual(["a"]);
  });

  test("undoes what a handler wrote that throws, and the next attempt runs it", async () => {
    const failing = once("a", store, async ({ client }) => {
      await client.query("insert into invoices values ('a')");
      throw new Error("no paper");
    });
    await expect(failing).rejects.toThrow("no paper");
    expect(await invoices()).toEqual([]);
    await expect(once("a", store, ({ client }) => client.query("select 1/0"))).rejects.toThrow(
      "division by zero",
    );
    expect(await invoice("a")).toMatchObject({ kind: "RAN" });
    expect(await invoices()).toEqual(["a"]);
  });

  test("never waits for another delivery in progress, with or without a transaction", async () => {
    const { promise: end, resolve } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const first = once("a", store, async () => {
      begin();
      await end;
    });
    await begun;
    expect(await invoice("a")).toEqual({ kind: "IN_PROGRESS", retryAfterMs: 1_000 });
    expect(await once("a", postgresStore(pool), () => 1)).toEqual({
      kind: "IN_PROGRESS",
      retryAfterMs: 1_000,
    });
    resolve();
    expect(await first).toMatchObject({ kind: "RAN" });
  });

  test("respects a claim that another process made without a transaction", async () => {
    await postgresStore(pool).claim("a", { leaseMs: 60_000 });
    const answer = await invoice("a");
    expect(answer.kind === "IN_PROGRESS" && answer.retryAfterMs).toBeGreaterThan(30_000);
  });

  test("leaves nothing when the connection dies before the commit, and the next attempt runs it at once", async () => {
    let listeners = 0;
    const dying = once("a", store, async ({ client }) => {
      await client.query("insert into invoices values ('a')");
      const { rows } = await client.query("select pg_backend_pid() as pid");
      listeners = client.listenerCount("error");
      const closed = new Promise<void>((done) => void client.once("end", done));
      await pool.query("select pg_terminate_backend($1)", [rows[0].pid]);
      await closed;
    });
    await expect(dying).rejects.toThrow();
    // An error without a listener would end the process.
    expect(listeners).toBe(1);
    expect(await invoices()).toEqual([]);
    expect(await invoice("a")).toMatchObject({ kind: "RAN" });
  });

  test("closes the connection of a handler that takes too long, so that it cannot write later", async () => {
    const clock = createFakeClock();
    const { promise: begun, resolve: begin } = Promise.withResolvers<pg.PoolClient>();
    const slow = once(
      "a",
      store,
      ({ client }) => {
        begin(client);
        return new Promise<void>(() => {});
      },
      { clock, maxRunMs: 1_000 },
    );
    const ended = expect(slow).rejects.toThrow(HandlerTimeoutError);
    const client = await begun;
    await clock.advance(1_000);
    await ended;
    await expect(client.query("insert into invoices values ('late')")).rejects.toThrow();
    expect(await invoice("b")).toMatchObject({ kind: "RAN" });
    expect(await invoices()).toEqual(["b"]);
  });

  test("gives 50 deliveries of 10 triggers their effects exactly once, though handlers fail", async () => {
    let calls = 0;
    const deliver = async (id: string): Promise<void> => {
      for (;;) {
        const outcome = await once(id, store, async ({ client }) => {
          await client.query("insert into invoices values ($1)", [id]);
          if (++calls % 3 === 0) throw new Error("no paper");
        }).catch(() => undefined);
        if (outcome !== undefined && outcome.kind !== "IN_PROGRESS") return;
      }
    };
    const ids = Array.from({ length: 10 }, (_, number) => `trg_${number}`);
    await Promise.all(ids.flatMap((id) => Array.from({ length: 5 }, () => deliver(id))));
    expect(await invoices()).toEqual(ids);
  });
});
