import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EasyCronError } from "../mesh/errors.ts";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { startTcpProxy, type TcpProxy } from "../test/support/tcp-proxy.ts";
import type { Unanswered } from "./connections.ts";
import { createPool, isLockTimeout, isStatementTimeout, type Pool, type PoolOptions } from "./pool.ts";
import { createPoolGroup } from "./pool-group.ts";
import { statement } from "./statement.ts";

const one = statement<{ one: number }>("testOne", "select 1 as one");
const sleep = statement<object>("testSleep", "select pg_sleep($1)");
const lockTable = statement<object>("testLock", "lock table scheduler.jobs in access exclusive mode");

let database: TestDatabase;
let proxy: TcpProxy;
let proxiedUrl: string;
let silent: Unanswered[];

beforeAll(async () => {
  database = await createDatabase();
  const url = new URL(database.url());
  proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  proxiedUrl = url.href;
});

beforeEach(() => {
  proxy.restore();
  silent = [];
});

afterAll(async () => {
  await proxy.stop();
  await database.drop();
});

/** Makes a pool through the proxy that is closed at the end of the test. */
function poolOf(options: Partial<PoolOptions> = {}): Pool & AsyncDisposable {
  const pool = createPool({
    connectionString: proxiedUrl,
    max: 2,
    applicationName: "test",
    limits: { connectionMs: 1_000, statementMs: 30_000, answerMs: 300 },
    onSilent: (event) => silent.push(event),
    ...options,
  });
  return { ...pool, [Symbol.asyncDispose]: pool.close };
}

const unavailable = expect.objectContaining({ reason: "SERVICE_UNAVAILABLE" });

describe("a server that falls silent", () => {
  test("fails a statement when its answer is late, and the next one runs on a new connection", async () => {
    await using pool = poolOf();
    await pool.query(one);
    proxy.silence();
    await expect(pool.query(one)).rejects.toEqual(unavailable);
    expect(silent).toMatchObject([{ statement: "testOne" }]);
    expect(await pool.query(one)).toEqual([{ one: 1 }]);
  });

  test("costs one late answer only, however many free connections lead to it", async () => {
    await using pool = poolOf();
    await Promise.all([pool.query(sleep, [0.05]), pool.query(sleep, [0.05])]);
    proxy.silence();
    await expect(pool.query(one)).rejects.toEqual(unavailable);
    await Promise.all([pool.query(one), pool.query(one)]);
    expect(silent).toHaveLength(1);
  });

  test("ends a transaction at its next statement, and also when that is the commit", async () => {
    await using pool = poolOf();
    const inside = pool.transaction(async (tx) => {
      await tx.query(one);
      proxy.silence();
      await tx.query(one);
    });
    await expect(inside).rejects.toEqual(unavailable);
    const committing = pool.transaction(async (tx) => {
      await tx.query(one);
      proxy.silence();
    });
    await expect(committing).rejects.toEqual(unavailable);
    expect(silent).toMatchObject([{ statement: "testOne" }, { statement: "commit" }]);
    expect(await pool.transaction((tx) => tx.query(one))).toEqual([{ one: 1 }]);
  });

  test("renews the free connections of the other pools of the process", async () => {
    const heard: string[] = [];
    const group = createPoolGroup({
      connectionString: proxiedUrl,
      process: "test",
      onSilent: ({ pool, statement }) => heard.push(`${pool}: ${statement}`),
    });
    const limits = { connectionMs: 1_000, statementMs: 30_000, lockMs: 30_000, answerMs: 30_000 };
    const [first, second] = [
      group.add("first", 1, { ...limits, answerMs: 300 }),
      group.add("second", 1, limits),
    ];
    await Promise.all([first.query(one), second.query(one)]);
    proxy.silence();
    await expect(first.query(one)).rejects.toEqual(unavailable);
    expect(await second.query(one)).toEqual([{ one: 1 }]);
    expect(heard).toEqual(["first: testOne"]);
    await group.close();
  });

  test("fails a statement that needs a new connection when that does not open in time", async () => {
    await using pool = poolOf();
    proxy.blackhole();
    await expect(pool.query(one)).rejects.toEqual(unavailable);
    proxy.restore();
    expect(await pool.query(one)).toEqual([{ one: 1 }]);
  });

  test("does not keep a pool from closing", async () => {
    const pool = poolOf();
    await pool.query(one);
    const waiting = pool.query(sleep, [60]).catch((error: unknown) => error);
    await expect.poll(() => pool.oldestUnanswered()?.statement).toBe("testSleep");
    proxy.silence();
    await pool.close();
    expect(await waiting).toEqual(unavailable);
  });
});

test("a pool tells which statement has waited longest for its answer, and then for a connection", async () => {
  await using pool = poolOf({ max: 1, limits: {} });
  expect(pool.oldestUnanswered()).toBeUndefined();
  const running = pool.query(sleep, [0.3]);
  await expect.poll(() => pool.oldestUnanswered()?.statement).toBe("testSleep");
  const second = pool.query(one);
  await running;
  await second;
  expect(pool.oldestUnanswered()).toBeUndefined();
});

test("PostgreSQL ends a statement that runs, or waits for a lock, longer than its pool allows", async () => {
  await using pool = poolOf({ limits: { statementMs: 100 } });
  const slow = await pool.query(sleep, [5]).catch((error: unknown) => error);
  expect([isStatementTimeout(slow), isLockTimeout(slow)]).toEqual([true, false]);
  await using other = poolOf({ limits: { lockMs: 100 } });
  await other.transaction(async (tx) => {
    await tx.query(lockTable);
    const blocked = await other
      .transaction((second) => second.query(lockTable))
      .catch((error: unknown) => error);
    expect([isStatementTimeout(blocked), isLockTimeout(blocked)]).toEqual([false, true]);
    expect(blocked).toBeInstanceOf(EasyCronError);
  });
});

test("a statement that finds no free connection in time fails", async () => {
  // The limit also applies to the first statement, which has to connect.
  await using pool = poolOf({ max: 1, limits: { connectionMs: 500 } });
  const running = pool.query(sleep, [1]);
  await expect(pool.query(one)).rejects.toEqual(unavailable);
  await running;
  expect(pool.oldestUnanswered()).toBeUndefined();
});

describe("a caller that has gone", () => {
  test("stops waiting for a connection, and the connection goes to another caller", async () => {
    await using pool = poolOf({ max: 1, limits: {} });
    const caller = new AbortController();
    const running = pool.query(sleep, [0.3]);
    const waiting = pool.until(caller.signal).query(one);
    caller.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    await running;
    expect(await pool.query(one)).toEqual([{ one: 1 }]);
  });

  test("starts no further statement, and its transaction is rolled back", async () => {
    await using pool = poolOf({ limits: {} });
    const caller = new AbortController();
    const mine = pool.until(caller.signal);
    const work = mine.transaction(async (tx) => {
      await tx.query(lockTable);
      caller.abort(new Error("gone"));
      await tx.query(one);
    });
    await expect(work).rejects.toThrow("gone");
    await expect(mine.query(one)).rejects.toThrow("gone");
    // The lock is free again.
    await pool.transaction((tx) => tx.query(lockTable));
  });
});
