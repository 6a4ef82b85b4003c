// `npm run schema`: writes db/schema.sql from a database that is migrated from nothing, on a PostgreSQL of its own.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDatabaseIfAbsent } from "../db/admin.ts";
import { migrate } from "../db/migrate.ts";
import { dumpSchema } from "../db/schema.ts";
import { findFreePorts } from "./ports.ts";
import { startPostgres } from "./postgres.ts";

const FILE = fileURLToPath(new URL("../db/schema.sql", import.meta.url));
const PASSWORD = "schema";

const parent = await mkdtemp(join(tmpdir(), "easycron-schema-"));
const [port = 0] = await findFreePorts(1);
const postgres = await startPostgres({
  folder: join(parent, "postgres"),
  password: PASSWORD,
  port,
  durable: false,
});
try {
  await createDatabaseIfAbsent(postgres.url("postgres"), "easycron");
  const url = postgres.url("easycron");
  await migrate(url, { rolePasswords: { gateway: PASSWORD, scheduler: PASSWORD, dispatcher: PASSWORD } });
  await writeFile(FILE, await dumpSchema(url));
  console.log(`wrote ${FILE}`);
} finally {
  await postgres.stop();
  await rm(parent, { recursive: true });
}
