import type { Clock } from "../clock.ts";
import { type PostgresStatements, postgresStatements } from "./postgres-statements.ts";
import { type ClaimAnswer, DEFAULT_KEEP_MS, type IdempotencyStore, type TextStore } from "./store.ts";

/** A connection or a pool of the package `pg`, or anything with the same `query`. */
export interface PostgresQueryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

/** Options of the stores in PostgreSQL. */
export interface PostgresStoreOptions {
  /** The table, with or without its schema. Default `easycron_once`. */
  readonly table?: string | undefined;
  /** How long a completed id is remembered, in milliseconds. Default 7 days. */
  readonly keepMs?: number | undefined;
  /** Replaces PostgreSQL's own clock, for tests. */
  readonly clock?: Pick<Clock, "now"> | undefined;
}

/** What both stores in PostgreSQL need. */
export interface PostgresSettings {
  readonly statements: PostgresStatements;
  readonly keepMs: number;
  /** The time of a test. Null in production. */
  readonly now: () => Date | null;
}

/** Applies the defaults. Throws a RangeError for a table that is no name. */
export function toPostgresSettings(options: PostgresStoreOptions): PostgresSettings {
  const { table = "easycron_once", keepMs = DEFAULT_KEEP_MS, clock } = options;
  return { statements: postgresStatements(table), keepMs, now: () => clock?.now() ?? null };
}

/**
 * Returns the SQL that creates the stores' table, if it does not exist; for your migrations.
 *
 * @example
 * ```ts
 * console.log(postgresTable("billing.easycron_once"));
 * ```
 */
export function postgresTable(table = "easycron_once"): string {
  return postgresStatements(table).create;
}

/** How many claims there are to one removal of old rows. A removal takes at most ten times as many. */
const CLAIMS_PER_REMOVAL = 100;

/** Returns a function to call before each claim: it removes old rows at every hundredth call. */
export function createRemoval({ statements, keepMs, now }: PostgresSettings) {
  let claims = 0;
  return async (connection: PostgresQueryable): Promise<void> => {
    if (++claims % CLAIMS_PER_REMOVAL === 0) await connection.query(statements.removeOld, [keepMs, now()]);
  };
}

/**
 * Creates a store in a table of your PostgreSQL (`postgresTable` creates it). Every method is one or two short
 * statements, each a transaction of its own, so pass a pool. Old rows are removed as new ones come. PostgreSQL's clock
 * decides about leases.
 *
 * @example
 * ```ts
 * import pg from "pg";
 *
 * const pool = new pg.Pool({ connectionTimeoutMillis: 5_000 });
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store: postgresStore(pool),
 *   onTrigger: (trigger) => console.log(trigger.job.name),
 * });
 * console.log(typeof receiver.node);
 * ```
 */
export function postgresStore(
  pool: PostgresQueryable,
  options: PostgresStoreOptions = {},
): IdempotencyStore & TextStore {
  const settings = toPostgresSettings(options);
  const { statements, now } = settings;
  const removeOld = createRemoval(settings);
  const touches = async (text: string, ...values: unknown[]) =>
    (await pool.query(text, values)).rows.length > 0;
  return {
    claim: async (id, { leaseMs, token }) => {
      if (token !== undefined) {
        const isRenewed = await touches(statements.renew, id, token, leaseMs, now());
        return isRenewed ? { kind: "CLAIMED", token } : look(pool, settings, id);
      }
      await removeOld(pool);
      return claimIn(pool, settings, id, leaseMs);
    },
    complete: (id, token, result) => touches(statements.complete, id, token, result, now()),
    release: async (id, token) => {
      await pool.query(statements.release, [id, token, now()]);
    },
    read: async (key) => {
      const { rows } = await pool.query(statements.read, [`text:${key}`]);
      const text = rows[0]?.result;
      return typeof text === "string" ? text : undefined;
    },
    swap: (key, before, after) =>
      before === undefined
        ? touches(statements.insertText, `text:${key}`, after, now())
        : touches(statements.swapText, `text:${key}`, before, after, now()),
  };
}

/** Claims an id on a connection. Says why if it cannot. */
export async function claimIn(
  connection: PostgresQueryable,
  settings: PostgresSettings,
  id: string,
  leaseMs: number,
): Promise<ClaimAnswer> {
  const { statements, keepMs, now } = settings;
  const { rows } = await connection.query(statements.claim, [id, leaseMs, keepMs, now()]);
  const token = rows[0]?.token;
  return typeof token === "number" ? { kind: "CLAIMED", token } : look(connection, settings, id);
}

/** How soon to ask again about a claim in a transaction that is not yet committed. */
const UNCOMMITTED_MS = 1_000;

async function look(
  connection: PostgresQueryable,
  { statements, now }: PostgresSettings,
  id: string,
): Promise<ClaimAnswer> {
  const { rows } = await connection.query(statements.look, [id, now()]);
  const { result, left_ms: leftMs } = rows[0] ?? {};
  if (typeof result === "string") return { kind: "COMPLETED", result };
  return {
    kind: "HELD",
    retryAfterMs: typeof leftMs === "number" && leftMs > 0 ? Math.ceil(leftMs) : UNCOMMITTED_MS,
  };
}
