import pg from "pg";
import { EasyCronError, failure } from "../mesh/errors.ts";
import type { Statement } from "./statement.ts";
import { fromSqlTime } from "./time.ts";

/** A value for a parameter `$n` of a statement. */
export type SqlValue =
  | string
  | number
  | boolean
  | null
  | Buffer
  | readonly (string | number | boolean | null)[];

/** Runs statements: a pool, or a transaction of it. */
export interface Queryable {
  /**
   * Runs one statement and returns its rows. Throws SERVICE_UNAVAILABLE when the database cannot be reached, is
   * shutting down, is out of resources, or reports a lost race that may be retried. Other errors of PostgreSQL pass
   * through.
   */
  query<Row>(statement: Statement<Row>, values?: readonly SqlValue[]): Promise<Row[]>;
}

/** A pool of connections to one database. */
export interface Database extends Queryable {
  /** Runs `work` in one READ COMMITTED transaction; commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /**
   * Like `transaction`, but read-only: every statement sees the database as of the first statement (REPEATABLE READ).
   */
  snapshot<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Waits for running statements and closes every connection. */
  close(): Promise<void>;
}

/** Options of `createPool`. */
export interface PoolOptions {
  /** postgres://user:password@host:port/database. */
  readonly connectionString: string;
  /** The largest number of connections open at once. */
  readonly max: number;
  /** The name that pg_stat_activity shows. */
  readonly applicationName: string;
  /**
   * When true, a commit returns before it is on disk (synchronous_commit = off). A crash of the database may lose the
   * last such commits, so this is only for work that is then repeated. Other sessions see the changes at once.
   */
  readonly answersBeforeDisk?: boolean;
  /** How long a statement may run before PostgreSQL ends it. Default 30,000. */
  readonly statementTimeoutMs?: number;
}

const TIMESTAMPTZ = 1184;
const INT8 = 20;

const types = {
  getTypeParser: (oid: number, format?: "text" | "binary") => {
    if (oid === TIMESTAMPTZ) return fromSqlTime;
    if (oid === INT8) return Number;
    return pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;

/**
 * Opens a pool of connections. It returns a timestamptz as epoch milliseconds and a bigint as a number.
 *
 * A statement waits at most 5 s for a connection and runs at most `statementTimeoutMs`. A transaction may idle for at
 * most 15 s, so that a stalled process loses the row locks that it holds.
 */
export function createPool(options: PoolOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    idle_in_transaction_session_timeout: 15_000,
    options:
      "-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan" +
      (options.answersBeforeDisk ? " -c synchronous_commit=off" : ""),
    types,
  });
  // The pool replaces a broken idle connection at the next query, and that query reports its own error. Without a
  // listener the event would end the process.
  pool.on("error", () => {});
  return {
    query: (statement, values) => run(pool, statement, values),
    transaction: (work) => transaction(pool, "begin", work),
    snapshot: (work) => transaction(pool, "begin isolation level repeatable read read only", work),
    close: () => pool.end(),
  };
}

async function run<Row>(
  on: pg.Pool | pg.PoolClient,
  statement: Statement<Row>,
  values: readonly SqlValue[] = [],
): Promise<Row[]> {
  try {
    const result = await on.query({ name: statement.name, text: statement.text, values: [...values] });
    return result.rows as Row[];
  } catch (error) {
    throw toUnavailable(error);
  }
}

async function transaction<T>(pool: pg.Pool, begin: string, work: (tx: Queryable) => Promise<T>): Promise<T> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    throw toUnavailable(error);
  }
  let broken: unknown;
  const onError = (error: unknown) => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await client.query(begin);
    const value = await work({ query: (statement, values) => run(client, statement, values) });
    await client.query("commit");
    return value;
  } catch (error) {
    await client.query("rollback").catch((failed: unknown) => {
      broken = failed;
    });
    throw toUnavailable(error);
  } finally {
    client.off("error", onError);
    client.release(broken !== undefined);
  }
}

// SQLSTATE classes and codes after which a retry may succeed: connection exception (08), insufficient resources (53:
// disk full, too many connections), operator intervention (57: shutdown, crash, statement timeout), serialization
// failure, deadlock, lock not available, and idle-in-transaction timeout.
const RETRYABLE = /^(08|53|57|40001|40P01|55P03|25P03)/;

function toUnavailable(error: unknown): unknown {
  if (error instanceof EasyCronError || !(error instanceof Error)) return error;
  const code = (error as { code?: unknown }).code;
  const state = error instanceof pg.DatabaseError && typeof code === "string" ? code : undefined;
  // An error that PostgreSQL did not send is a failed connection if it looks like one: ECONNREFUSED, a reset, a
  // timeout of the pool.
  if (state === undefined ? isConnectionFailure(error, code) : RETRYABLE.test(state)) {
    return failure("SERVICE_UNAVAILABLE", { service: "database" }, { cause: error, retryAfterMs: 1_000 });
  }
  return error;
}

function isConnectionFailure(error: Error, code: unknown): boolean {
  return (
    (typeof code === "string" && /^E[A-Z]+$/.test(code)) ||
    /connection|timeout|terminat|not queryable/i.test(error.message)
  );
}

/** Whether an error says that PostgreSQL ended a statement at its timeout. */
export function isStatementTimeout(error: unknown): boolean {
  const cause = error instanceof EasyCronError ? error.cause : error;
  return cause instanceof pg.DatabaseError && cause.code === "57014";
}

/** Whether an error is a violation of the named unique constraint or index. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.code === "23505" && error.constraint === constraint;
}
