import { expect, test } from "vitest";
import type { Database } from "./pool.ts";
import { createShares } from "./shares.ts";
import type { Statement } from "./statement.ts";

const STATEMENT: Statement<string> = { name: "fake", text: "select" };

/** A pool whose statements end when the test says so. */
function createFakePool() {
  const ends: (() => void)[] = [];
  const query = (() =>
    new Promise((resolve) => {
      ends.push(() => resolve([]));
    })) as Database["query"];
  const database: Database = {
    query,
    transaction: (work) => work({ query }),
    snapshot: (work) => work({ query }),
  };
  return { pool: { until: () => database }, ends };
}

const caller = () => new AbortController();

test("a project whose connections are all in use waits, and another project does not", async () => {
  const { pool, ends } = createFakePool();
  const shares = createShares(pool, { most: 2, waitMs: 10_000 });
  const busy = shares.of("busy", caller().signal);
  const first = [busy.query(STATEMENT), busy.transaction((tx) => tx.query(STATEMENT))];
  const third = busy.snapshot((tx) => tx.query(STATEMENT));
  const other = shares.of("other", caller().signal).query(STATEMENT);
  await expect.poll(() => ends.length).toBe(3);
  ends[0]?.();
  await first[0];
  await expect.poll(() => ends.length).toBe(4);
  for (const end of ends) end();
  await Promise.all([...first, third, other]);
});

test("a caller that waits too long, or for whom too many wait already, gets TOO_MANY_CALLS", async () => {
  const { pool, ends } = createFakePool();
  const shares = createShares(pool, { most: 1, waitMs: 20, waiting: 1 });
  const database = shares.of("busy", caller().signal);
  const running = database.query(STATEMENT);
  const waiting = database.query(STATEMENT);
  const tooMany = { reason: "TOO_MANY_CALLS", retryAfterMs: 1_000 };
  await expect(database.query(STATEMENT)).rejects.toMatchObject(tooMany);
  await expect(waiting).rejects.toMatchObject(tooMany);
  ends[0]?.();
  await running;
  const next = database.query(STATEMENT);
  await expect.poll(() => ends.length).toBe(2);
  ends[1]?.();
  await next;
});

test("a caller that has gone gives up its place in the queue", async () => {
  const { pool, ends } = createFakePool();
  const shares = createShares(pool, { most: 1, waitMs: 10_000 });
  const running = shares.of("busy", caller().signal).query(STATEMENT);
  const gone = caller();
  const waiting = shares.of("busy", gone.signal).query(STATEMENT);
  gone.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  ends[0]?.();
  await running;
  expect(ends).toHaveLength(1);
});

test("callers of one project are served in the order in which they came, also after one has failed", async () => {
  const order: string[] = [];
  const failing: Database = {
    query: () => Promise.reject(new Error("failed")),
    transaction: (work) => work({ query: () => Promise.resolve([]) }),
    snapshot: (work) => work({ query: () => Promise.resolve([]) }),
  };
  const database = createShares({ until: () => failing }, { most: 1, waitMs: 10_000 }).of(
    "busy",
    caller().signal,
  );
  const note = (name: string) => async () => {
    order.push(name);
  };
  const first = database.query(STATEMENT).finally(note("first"));
  const others = [database.transaction(note("second")), database.snapshot(note("third"))];
  await expect(first).rejects.toThrow("failed");
  await Promise.all(others);
  expect(order).toEqual(["first", "second", "third"]);
});
