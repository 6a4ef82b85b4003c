import { describe, expect, test } from "vitest";
import { failure } from "../mesh/errors.ts";
import { createDatabase } from "../test/support/database.ts";
import { createPool } from "./pool.ts";
import { createReadShare, readsAtOnce } from "./share-reads.ts";

const caller = new AbortController().signal;

/** A read that lasts until the test ends it. */
function createRead() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const read = { hasBegun: false, end: () => resolve("done"), work: () => promise };
  return {
    ...read,
    work: () => {
      read.hasBegun = true;
      return promise;
    },
    hasBegun: () => read.hasBegun,
  };
}

/** Lets everything run that waits for nothing else. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("the share of a pool", () => {
  test("lets one project have half of the connections, and at least one", () => {
    expect([1, 2, 3, 8].map(readsAtOnce)).toEqual([1, 1, 1, 4]);
  });

  test("lets a project's further reads wait, in order, while another project's reads begin", async () => {
    const share = createReadShare({ atOnce: 1 });
    const [first, second, third, other] = [createRead(), createRead(), createRead(), createRead()];
    const reads = [first, second, third].map(({ work }) => share.run("a", caller, work));
    reads.push(share.run("b", caller, other.work));
    await settle();
    expect([first, second, third, other].map((read) => read.hasBegun())).toEqual([true, false, false, true]);
    first.end();
    await settle();
    expect([second, third].map((read) => read.hasBegun())).toEqual([true, false]);
    for (const read of [second, third, other]) read.end();
    expect(await Promise.all(reads)).toEqual(["done", "done", "done", "done"]);
  });

  test("refuses a read that has waited too long, and one for which too many wait already", async () => {
    const share = createReadShare({ atOnce: 1, waiting: 1, waitMs: 20 });
    const running = createRead();
    const read = share.run("a", caller, running.work);
    const waiting = share.run("a", caller, createRead().work);
    const tooMany = { reason: "TOO_MANY_CALLS", retryAfterMs: 1_000 };
    await expect(share.run("a", caller, createRead().work)).rejects.toMatchObject(tooMany);
    await expect(waiting).rejects.toMatchObject(tooMany);
    running.end();
    await read;
    const next = createRead();
    next.end();
    expect(await share.run("a", caller, next.work)).toBe("done");
  });

  test("forgets a read whose caller goes while it waits", async () => {
    const share = createReadShare({ atOnce: 1 });
    const running = createRead();
    const read = share.run("a", caller, running.work);
    const gone = new AbortController();
    const waiting = createRead();
    const refused = share.run("a", gone.signal, waiting.work);
    gone.abort(failure("CANCELLED"));
    await expect(refused).rejects.toMatchObject({ reason: "CANCELLED" });
    running.end();
    await read;
    expect(waiting.hasBegun()).toBe(false);
    await expect(share.run("a", gone.signal, waiting.work)).rejects.toMatchObject({ reason: "CANCELLED" });
  });

  test("gives the place of a failed read to the next one", async () => {
    const share = createReadShare({ atOnce: 1 });
    const failing = share.run("a", caller, () => Promise.reject(new Error("one")));
    const next = share.run("a", caller, () => Promise.reject(new Error("two")));
    await expect(failing).rejects.toThrow("one");
    await expect(next).rejects.toThrow("two");
  });

  test("says that a read was too costly when PostgreSQL has ended its statement", async () => {
    const database = await createDatabase();
    const limits = { statementMs: 50 };
    const pool = createPool({ connectionString: database.url(), max: 1, applicationName: "test", limits });
    try {
      const share = createReadShare({ atOnce: 1 });
      const slow = { name: "slow", text: "select pg_sleep(10)" };
      const read = share.run("a", caller, () => pool.query(slow));
      await expect(read).rejects.toMatchObject({ reason: "READ_TOO_COSTLY", retryAfterMs: undefined });
    } finally {
      await pool.close();
      await database.drop();
    }
  });
});
