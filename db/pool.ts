import pg from "pg";
import { EasyCronError, failure } from "../mesh/errors.ts";
import type { Statement } from "./statement.ts";
import { fromSqlTime } from "./time.ts";

/** A value that may stand for `$n`. */
export type SqlValue =
  | string
  | number
  | boolean
  | null
  | Buffer
  | readonly (string | number | boolean | null)[];

/** What runs statements: the pool itself, or a transaction. */
export interface Queryable {
  /**
   * Runs one statement and returns its rows. Throws SERVICE_UNAVAILABLE when the database cannot be reached or is
   * shutting down; other errors of PostgreSQL are thrown as they are.
   */
  query<Row>(statement: Statement<Row>, values?: readonly SqlValue[]): Promise<Row[]>;
}

/** A pool of connections to one database. */
export interface Database extends Queryable {
  /** Runs `work` in one READ COMMITTED transaction; commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** As `transaction`, to read only: every statement sees the database as it was at the first one. */
  snapshot<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Waits for running statements and closes every connection. */
  close(): Promise<void>;
}

/** How to connect. */
export interface PoolOptions {
  /** postgres://user:password@host:port/database. */
  readonly connectionString: string;
  /** Most connections at once. */
  readonly max: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /**
   * Commits answer before they are on disk. Only for what may be undone by a crash of the database and then simply be
   * done again; others see it at once all the same.
   */
  readonly answersBeforeDisk?: boolean;
  /** For how long a statement may run; 30,000 when absent. */
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
 * Opens a pool. Times come back as epoch milliseconds, bigint as number. A statement may run for 30 s unless told otherwise, wait 5 s
 * for a connection, and a transaction may idle for 15 s: a process that stalls holding row locks loses them.
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
  // An idle connection that breaks is replaced at the next query, which reports what it meets.
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

// SQLSTATE classes that say "not now": connection exception (08), insufficient resources (53: disk full, too many
// connections), operator intervention (57: shutdown, crash, statement timeout), and lost races that may be run again.
const RETRYABLE = /^(08|53|57|40001|40P01|55P03|25P03)/;

function toUnavailable(error: unknown): unknown {
  if (error instanceof EasyCronError || !(error instanceof Error)) return error;
  const code = (error as { code?: unknown }).code;
  const state = error instanceof pg.DatabaseError && typeof code === "string" ? code : undefined;
  // Whatever is not PostgreSQL's own answer is a failure to reach it: ECONNREFUSED, a reset, a pool time-out.
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

/** Whether an error says that a statement was ended because it had run for too long. */
export function isStatementTimeout(error: unknown): boolean {
  const cause = error instanceof EasyCronError ? error.cause : error;
  return cause instanceof pg.DatabaseError && cause.code === "57014";
}

/** Whether an error is PostgreSQL's unique violation of the named constraint or index. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.code === "23505" && error.constraint === constraint;
}
