import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { createKeys, type Keys, writeKeys } from "../../dev/keys.ts";
import { findFreePorts } from "../../dev/ports.ts";
import { ensureDatabase, startPostgres } from "../../dev/postgres.ts";
import { ownRelease } from "../../scheduler/zones/zone-data.ts";
import { keepFirstRelease, recordRelease } from "../../scheduler/zones/zone-data-record.ts";

/** Name of the product's database in the prepared data. */
export const PREPARED_DATABASE = "easycron";

/** Name of a database in the prepared data that is migrated and otherwise empty. */
export const EMPTY_DATABASE = "easycron_template";

/** Passwords of the superuser and of the services' roles in the prepared data. */
export const PREPARED_PASSWORDS: Keys["passwords"] = {
  postgres: "test",
  gateway: "test-role",
  scheduler: "test-role",
  dispatcher: "test-role",
};

/**
 * Makes a data directory as `npm start` leaves it: keys.json, and a stopped PostgreSQL with a migrated database that
 * knows the release of the time zone database. It also has EMPTY_DATABASE. Returns its path.
 */
export async function prepareData(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "easycron-prepared-"));
  try {
    writeKeys(join(dataDir, "keys.json"), { ...createKeys(), passwords: PREPARED_PASSWORDS });
    const [port = 0] = await findFreePorts(1);
    const folder = join(dataDir, "postgres");
    const password = PREPARED_PASSWORDS.postgres;
    const postgres = await startPostgres({ folder, password, port, durable: false });
    try {
      await ensureDatabase(postgres, PREPARED_DATABASE);
      await migrate(postgres.url(PREPARED_DATABASE), { rolePasswords: PREPARED_PASSWORDS });
      await copyDatabase(postgres.url("postgres"));
      await storeZones(postgres.url(PREPARED_DATABASE));
    } finally {
      await postgres.stop();
    }
    return dataDir;
  } catch (error) {
    await rm(dataDir, { recursive: true });
    throw error;
  }
}

async function copyDatabase(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(`create database ${EMPTY_DATABASE} template ${PREPARED_DATABASE}`);
  } finally {
    await client.end();
  }
}

async function storeZones(connectionString: string): Promise<void> {
  const database = createPool({ connectionString, max: 1, applicationName: "test" });
  try {
    const release = ownRelease();
    await recordRelease(database, release, { nowMs: Date.now(), noticeMs: 0 });
    await keepFirstRelease(database, release, { pauseMs: 0, signal: new AbortController().signal });
  } finally {
    await database.close();
  }
}
