import pg from "pg";
import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

/** Making a partition stops everybody for at most 50 ms; the rest is for a busy machine. */
const MOST_LATE_MS = 1_000;

test("a partition that cannot be made behind a long reader delays nobody, and is made when the reader has ended", async () => {
  await using scene = await openFaultScene({ dispatchers: 2 });
  const { mesh, healthy } = scene;
  const reader = new pg.Client({ connectionString: mesh.databaseUrl });
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await Promise.all([reader.connect(), admin.connect()]);
  const listLast = async () => {
    const { rows } = await admin.query(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'dispatcher.triggers'::regclass and c.relname ~ '[0-9]$' order by 1 desc limit 1`,
    );
    return rows[0]?.name as string;
  };
  const last = await listLast();
  await admin.query(`drop table dispatcher.${last}`);
  await reader.query("begin isolation level repeatable read");
  await reader.query("select count(*) from dispatcher.triggers");

  // A dispatcher that starts makes the partitions that are missing.
  const startMs = nextSecond();
  await mesh.terminate("dispatcher", 1);
  await mesh.untilReady("dispatcher", 1);
  const endMs = nextSecond(12_000);
  const lateness = await healthy.between(startMs, endMs);
  console.log(`behind a long reader: ${JSON.stringify(lateness)}`);
  expect(lateness.repeated).toBe(0);
  expect(lateness.worstMs).toBeLessThan(MOST_LATE_MS);
  expect(await listLast()).not.toBe(last);
  await expect.poll(() => mesh.output.join("\n")).toContain("a monthly partition could not be made");

  await reader.query("commit");
  await expect.poll(listLast, { timeout: 60_000, interval: 500 }).toBe(last);
  await Promise.all([reader.end(), admin.end()]);
});
