import pg from "pg";

const WRONG_PASSWORD = "28P01";

/**
 * Creates a database on a server unless it exists. The connection string is an administrator's, to any database of
 * that server. Throws what PostgreSQL or the connection reports.
 */
export async function createDatabaseIfAbsent(connectionString: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  // When the server ends meanwhile, the query rejects too. Without a listener the event would end the process.
  client.on("error", () => {});
  try {
    await client.connect();
    const found = await client.query("select from pg_database where datname = $1", [name]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

/** Whether an error is PostgreSQL's refusal of a password. */
export function isWrongPassword(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === WRONG_PASSWORD;
}
