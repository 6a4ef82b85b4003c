import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../../db/migrate.ts";
import { createKeys, type Keys, writeKeys } from "../../dev/keys.ts";
import { findFreePorts } from "../../dev/ports.ts";
import { ensureDatabase, startPostgres } from "../../dev/postgres.ts";

/** Name of the migrated database in the prepared data. It is the one that `npm start` uses. */
export const PREPARED_DATABASE = "easycron";

/** Passwords of the superuser and of the services' roles in the prepared data. */
export const PREPARED_PASSWORDS: Keys["passwords"] = {
  postgres: "test",
  gateway: "test-role",
  scheduler: "test-role",
  dispatcher: "test-role",
};

/**
 * Makes a data directory as `npm start` leaves it after its first steps: keys.json, and a stopped PostgreSQL with a
 * migrated database. Returns its path.
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
    } finally {
      await postgres.stop();
    }
    return dataDir;
  } catch (error) {
    await rm(dataDir, { recursive: true });
    throw error;
  }
}
