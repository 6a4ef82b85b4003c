import pg from "pg";
import { currentCall } from "../mesh/current-call.ts";
import { EasyCronError, failure } from "../mesh/errors.ts";
import {
  type Connection,
  type Connections,
  createConnections,
  type PoolLimits,
  type PoolUsage,
  type Unanswered,
} from "./connections.ts";
import type { Statement } from "./statement.ts";

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

/** A database as those see it who use it: it runs statements and transactions. */
export interface Database extends Queryable {
  /** Runs `work` in one READ COMMITTED transaction; commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /**
   * Like `transaction`, but read-only: every statement sees the database as of the first statement (REPEATABLE READ).
   */
  snapshot<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** A pool of connections to one database. */
export interface Pool extends Database {
  /**
   * Returns the database for one caller. Once `signal` is aborted, nothing waits for a connection any more and no
   * statement starts: both throw the signal's reason, and a transaction is rolled back. A statement under way runs to
   * its end.
   */
  until(signal: AbortSignal): Database;
  /** Returns what has waited longest for PostgreSQL's answer or for a connection, if anything waits. */
  oldestUnanswered(): Unanswered | undefined;
  /** Returns how many connections are used now, and how many callers wait for one. */
  usage(): PoolUsage;
  /** Replaces the connections that are free now. To be called when the server behind them seems to be dead. */
  renew(): void;
  /** Waits for running statements, within their limits, and closes every connection. */
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
  /**
   * When true, PostgreSQL reads a table as a whole only if no index serves (enable_seqscan = off). For statements that
   * must not change their plan with the statistics of a table.
   */
  readonly avoidsScans?: boolean;
  /** How long each step of a statement may take. */
  readonly limits?: Partial<PoolLimits>;
  /**
   * Called when the server left a statement unanswered for `answerMs` and the pool has replaced its free connections.
   */
  readonly onSilent?: (silent: Unanswered) => void;
}

/** A beginning takes no time on a live server. */
const BEGIN_MS = 3_000;
/** A connection that has not rolled back by then is closed, which rolls back as well. */
const ROLLBACK_MS = 1_000;

/**
 * Opens a pool of connections. It returns a timestamptz as epoch milliseconds and a bigint as a number.
 *
 * Every wait has a limit (`PoolLimits`). When one passes, the statement throws SERVICE_UNAVAILABLE. A transaction may
 * idle for at most 15 s between two statements.
 */
export function createPool(options: PoolOptions): Pool {
  const { connectionString, max, applicationName, onSilent = () => {} } = options;
  const sessionOptions =
    "-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan" +
    (options.answersBeforeDisk ? " -c synchronous_commit=off" : "") +
    (options.avoidsScans ? " -c enable_seqscan=off" : "");
  const limits = toLimits(options.limits);
  const base = { connectionString, max, applicationName, sessionOptions, limits, onSilent };
  const connections = createConnections(base);
  return {
    ...createDatabase(connections, undefined),
    until: (signal) => createDatabase(connections, signal),
    oldestUnanswered: connections.oldestUnanswered,
    usage: connections.usage,
    renew: connections.renew,
    close: connections.close,
  };
}

function toLimits(given: Partial<PoolLimits> = {}): PoolLimits {
  const { connectionMs = 5_000, statementMs = 30_000 } = given;
  const { lockMs = statementMs, answerMs = statementMs + 1_000 } = given;
  return { connectionMs, statementMs, lockMs, answerMs };
}

function createDatabase(connections: Connections, signal: AbortSignal | undefined): Database {
  return {
    query: async (statement, values) => {
      const connection = await acquire(connections, signal);
      try {
        return await run(connection, statement, values);
      } finally {
        connection.release();
      }
    },
    transaction: (work) => transaction(connections, { begin: "begin", signal }, work),
    snapshot: (work) =>
      transaction(connections, { begin: "begin isolation level repeatable read read only", signal }, work),
  };
}

async function acquire(connections: Connections, signal: AbortSignal | undefined): Promise<Connection> {
  try {
    return await connections.acquire(signal);
  } catch (error) {
    throw toUnavailable(error);
  }
}

/** Of the span of a statement, whose name is the span's. Its values are never in a span. */
const SQL_ATTRIBUTES = { "db.system.name": "postgresql" };

async function run<Row>(
  connection: Connection,
  statement: Statement<Row>,
  values: readonly SqlValue[] = [],
): Promise<Row[]> {
  const { name, text } = statement;
  const endSpan = currentCall()?.span?.child(name, SQL_ATTRIBUTES);
  try {
    const rows = (await connection.ask({ name, text, values: [...values] })) as Row[];
    endSpan?.();
    return rows;
  } catch (error) {
    endSpan?.(error);
    throw toUnavailable(error);
  }
}

async function transaction<T>(
  connections: Connections,
  { begin, signal }: { readonly begin: string; readonly signal: AbortSignal | undefined },
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  const connection = await acquire(connections, signal);
  let isClean = true;
  try {
    await connection.ask({ text: begin }, BEGIN_MS);
    const value = await work({
      query: async (statement, values) => {
        signal?.throwIfAborted();
        return await run(connection, statement, values);
      },
    });
    await connection.ask({ text: "commit" });
    return value;
  } catch (error) {
    await connection.ask({ text: "rollback" }, ROLLBACK_MS).catch(() => {
      isClean = false;
    });
    throw toUnavailable(error);
  } finally {
    connection.release(isClean);
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
  return stateOf(error) === "57014";
}

/** Whether an error says that a statement waited for a lock longer than its pool allows. */
export function isLockTimeout(error: unknown): boolean {
  return stateOf(error) === "55P03";
}

/** Whether an error says that a table of that name exists already. */
export function isDuplicateTable(error: unknown): boolean {
  return stateOf(error) === "42P07";
}

function stateOf(error: unknown): string | undefined {
  const cause = error instanceof EasyCronError ? error.cause : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

/** Whether an error is a violation of the named unique constraint or index. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.code === "23505" && error.constraint === constraint;
}
