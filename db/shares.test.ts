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

test("a caller that waits too long for its project's connections gets TOO_MANY_CALLS", async () => {
  const { pool, ends } = createFakePool();
  const shares = createShares(pool, { most: 1, waitMs: 10 });
  const database = shares.of("busy", caller().signal);
  const running = database.query(STATEMENT);
  await expect(database.query(STATEMENT)).rejects.toMatchObject({ reason: "TOO_MANY_CALLS" });
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
