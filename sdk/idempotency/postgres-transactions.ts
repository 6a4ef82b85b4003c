import { HandlerTimeoutError } from "./once-error.ts";
import {
  claimIn,
  createRemoval,
  type PostgresQueryable,
  type PostgresStoreOptions,
  toPostgresSettings,
} from "./postgres-store.ts";
import type { TransactionalStore } from "./store.ts";

/** A connection that was taken from a pool of the package `pg`. */
export interface PostgresClient extends PostgresQueryable {
  /** Gives the connection back; closes it if there is an error. */
  release(error?: Error | boolean): void;
}

/** A pool of the package `pg`. */
export interface PostgresPool<Client extends PostgresClient> {
  connect(): Promise<Client>;
}

/**
 * Creates a store that runs the handler in a transaction of your own database. What the handler writes with
 * `context.client`, and the record that the trigger is done, become visible together or not at all. That gives each
 * trigger its effects exactly once, also when a process dies at any moment.
 *
 * The handler must not end the transaction. It holds a connection of the pool while it runs, so keep it short and give
 * the pool a `connectionTimeoutMillis`. It shares the table of `postgresStore`.
 *
 * @example
 * ```ts
 * import pg from "pg";
 *
 * const pool = new pg.Pool({ connectionTimeoutMillis: 5_000 });
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store: postgresTransactions(pool),
 *   onTrigger: async (trigger, { client }) => {
 *     await client.query("insert into invoices values ($1)", [trigger.trigger]);
 *   },
 * });
 * console.log(typeof receiver.node);
 * ```
 */
export function postgresTransactions<Client extends PostgresClient>(
  pool: PostgresPool<Client>,
  options: PostgresStoreOptions = {},
): TransactionalStore<Client> {
  const settings = toPostgresSettings(options);
  const removeOld = createRemoval(settings);
  return {
    run: async (id, work) => {
      const client = await pool.connect();
      let broken: Error | undefined;
      try {
        await removeOld(client);
        await client.query("begin");
        // The advisory lock of the transaction keeps others away, so there is no lease.
        const claim = await claimIn(client, settings, id, 0);
        if (claim.kind !== "CLAIMED") {
          await client.query("rollback");
          return claim;
        }
        const { token } = claim;
        const result = await work({ token, client });
        await client.query(settings.statements.complete, [id, token, result, settings.now()]);
        await client.query("commit");
        return { kind: "RAN" };
      } catch (error) {
        // A handler that has not ended may still use the connection, outside of any transaction if it were rolled back.
        broken = error instanceof HandlerTimeoutError ? error : await rollBack(client);
        throw error;
      } finally {
        client.release(broken);
      }
    },
  };
}

/** Undoes the transaction. Returns the error if that fails: the connection is then closed, which undoes it, too. */
async function rollBack(client: PostgresClient): Promise<Error | undefined> {
  try {
    await client.query("rollback");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
