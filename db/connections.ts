import { once } from "node:events";
import net from "node:net";
import pg from "pg";
import { fromSqlTime } from "./time.ts";

/** How long the steps of a statement may take, in milliseconds. */
export interface PoolLimits {
  /** How long a statement waits for a free connection, and how long opening a new one may take. Default 5,000. */
  readonly connectionMs: number;
  /** How long a statement may run before PostgreSQL ends it (statement_timeout). Default 30,000. */
  readonly statementMs: number;
  /** How long a statement may wait for a lock before PostgreSQL ends it (lock_timeout). Default: `statementMs`. */
  readonly lockMs: number;
  /**
   * How long the answer to a statement may take. It must be longer than `statementMs`: then a live server always
   * answers in time, and a server that does not is taken for dead. Default: `statementMs` + 1,000.
   */
  readonly answerMs: number;
}

/** A statement that waits for its answer, or for a connection. */
export interface Unanswered {
  /** The statement's name, `begin`, `commit`, `rollback`, or `a connection`. */
  readonly statement: string;
  /** For how long it has waited, in milliseconds. */
  readonly forMs: number;
}

/** How many connections of a pool are used now, and how many callers wait for one. */
export interface PoolUsage {
  readonly max: number;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
}

/** A statement as pg takes it. */
export interface Question {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
}

/** A connection that one caller uses until it is released. */
export interface Connection {
  /**
   * Sends a statement and returns the rows. `limitMs` is the limit of the answer if it is shorter than the pool's.
   * Throws what PostgreSQL answers, and an error when the connection breaks or no answer comes in time. After one of
   * the last two the connection is broken, and every later call throws at once.
   */
  ask(question: Question, limitMs?: number): Promise<unknown[]>;
  /** Gives the connection back; a broken one is closed instead, and so is one that is not `isClean`. */
  release(isClean?: boolean): void;
}

/** Connections to one database, of which at most `max` are open at once. */
export interface Connections {
  /**
   * Returns a free connection. Throws when none is free or can be opened within `connectionMs`, and the reason of
   * `signal` when that is aborted first.
   */
  acquire(signal?: AbortSignal): Promise<Connection>;
  /** The statement that has waited longest, if any waits. */
  oldestUnanswered(): Unanswered | undefined;
  /** How many connections are used now. */
  usage(): PoolUsage;
  /** Closes the connections that nobody uses now, without a word to the server. Later statements open new ones. */
  renew(): void;
  /** Waits for the statements under way, each at most `answerMs`, and closes every connection. */
  close(): Promise<void>;
}

/** Options of `createConnections`. */
export interface ConnectionsOptions {
  readonly connectionString: string;
  readonly max: number;
  readonly applicationName: string;
  /** Settings of each session, as in `-c name=value`. */
  readonly sessionOptions: string;
  readonly limits: PoolLimits;
  /** Called when an answer did not come in time and the free connections were therefore replaced. */
  readonly onSilent: (silent: Unanswered) => void;
}

/** One pool of pg with the sockets of its connections. */
interface Generation {
  readonly pool: pg.Pool;
  readonly sockets: Set<net.Socket>;
}

interface State {
  readonly options: ConnectionsOptions;
  /** Where new statements get their connections from. */
  current: Generation;
  /** By time of its beginning: what waits now. */
  readonly waiting: Set<{ readonly statement: string; readonly sinceMs: number }>;
}

const TIMESTAMPTZ = 1184;
const INT8 = 20;
/** A transaction may idle this long, so that a stalled process loses the row locks that it holds. */
const IDLE_IN_TRANSACTION_MS = 15_000;
/** A connection that nobody has used for this long is closed. */
const IDLE_MS = 30_000;
/** After this time without traffic, TCP begins to ask the other side whether it is still there. */
const KEEP_ALIVE_DELAY_MS = 2_000;
/** How long `close` waits until the server has closed its side of the connections. */
const CLOSE_GRACE_MS = 500;
/** Rounds of the event loop in which everything that the sockets hold is read. */
const ROUNDS = 3;

const types = {
  getTypeParser: (oid: number, format?: "text" | "binary") => {
    if (oid === TIMESTAMPTZ) return fromSqlTime;
    if (oid === INT8) return Number;
    return pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;

/**
 * Makes the connections; each opens when it is first needed.
 *
 * A server whose host has died sends nothing, and TCP notices it after many minutes. So the answer to each statement
 * has a limit. When an answer does not come in time, that connection is destroyed, and all free connections are
 * replaced, because they lead to the same host. The statement that failed is not repeated: it may have been carried
 * out.
 */
export function createConnections(options: ConnectionsOptions): Connections {
  const state: State = { options, current: createGeneration(options), waiting: new Set() };
  return {
    acquire: (signal) => acquire(state, signal),
    oldestUnanswered: () => oldestUnanswered(state),
    usage: () => usageOf(state),
    renew: () => renew(state),
    close: () => end(state.current, options.limits),
  };
}

function createGeneration({
  connectionString,
  max,
  applicationName,
  sessionOptions,
  limits,
}: ConnectionsOptions): Generation {
  const sockets = new Set<net.Socket>();
  const pool = new pg.Pool({
    connectionString,
    max,
    application_name: applicationName,
    connectionTimeoutMillis: limits.connectionMs,
    idleTimeoutMillis: IDLE_MS,
    statement_timeout: limits.statementMs,
    lock_timeout: limits.lockMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    options: sessionOptions,
    types,
    stream: () => {
      const socket = new net.Socket();
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    },
  });
  // The pool replaces a broken idle connection at the next query, and that query reports its own error. Without a
  // listener the event would end the process.
  pool.on("error", () => {});
  return { pool, sockets };
}

async function acquire(state: State, signal: AbortSignal | undefined): Promise<Connection> {
  signal?.throwIfAborted();
  const { current } = state;
  const entry = { statement: "a connection", sinceMs: performance.now() };
  state.waiting.add(entry);
  try {
    const client = await unlessAborted(current.pool.connect(), signal, (late) => late.release());
    return createConnection(state, current, client);
  } finally {
    state.waiting.delete(entry);
  }
}

/** Waits for a value unless the signal is aborted first. A value that comes later is given to `giveBack`. */
function unlessAborted<T>(
  value: Promise<T>,
  signal: AbortSignal | undefined,
  giveBack: (late: T) => void,
): Promise<T> {
  if (signal === undefined) return value;
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      value.then(giveBack, () => {});
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const settle =
      <V>(how: (value: V) => void) =>
      (value: V) => {
        signal.removeEventListener("abort", onAbort);
        how(value);
      };
    value.then(settle(resolve), settle(reject));
  });
}

function createConnection(state: State, generation: Generation, client: pg.PoolClient): Connection {
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken ??= error;
  };
  client.on("error", onError);
  const { answerMs } = state.options.limits;
  return {
    ask: async (question, limitMs = answerMs) => {
      if (broken !== undefined) throw broken;
      const entry = { statement: question.name ?? question.text, sinceMs: performance.now() };
      state.waiting.add(entry);
      try {
        const result = await within(client.query(question), Math.min(limitMs, answerMs));
        return result.rows;
      } catch (error) {
        if (error instanceof NoAnswer) {
          broken ??= error;
          if (generation === state.current) {
            renew(state);
            const forMs = Math.round(performance.now() - entry.sinceMs);
            state.options.onSilent({ statement: entry.statement, forMs });
          }
        }
        throw error;
      } finally {
        state.waiting.delete(entry);
      }
    },
    release: (isClean = true) => {
      client.off("error", onError);
      // pg destroys the socket if a statement is under way: it does not wait for a server that may be dead.
      client.release(broken !== undefined || !isClean);
    },
  };
}

/** PostgreSQL did not answer in time. */
class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  readonly code = "ETIMEDOUT";
}

/** Waits for an answer, for at most `limitMs`. Throws NoAnswer. */
function within<T>(answer: Promise<T>, limitMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(async () => {
      // After a stall of this process, timers run first, and the answer may lie in the socket.
      for (let round = 0; round < ROUNDS; round++) await new Promise(setImmediate);
      reject(new NoAnswer(`PostgreSQL did not answer within ${limitMs} ms.`));
    }, limitMs);
    const settle =
      <V>(how: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        how(value);
      };
    answer.then(settle(resolve), settle(reject));
  });
}

function oldestUnanswered({ waiting }: State): Unanswered | undefined {
  for (const { statement, sinceMs } of waiting) {
    return { statement, forMs: Math.round(performance.now() - sinceMs) };
  }
  return undefined;
}

function usageOf({ options, current: { pool } }: State): PoolUsage {
  const { totalCount, idleCount, waitingCount } = pool;
  return { max: options.max, used: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
}

function renew(state: State): void {
  const former = state.current;
  if (former.pool.ending) return;
  state.current = createGeneration(state.options);
  // Statements under way on other connections keep their own limits; they may be answered after all.
  void end(former, state.options.limits);
}

/** Ends a pool: at once for its free connections, and for the others when they are released. */
async function end({ pool, sockets }: Generation, { answerMs }: PoolLimits): Promise<void> {
  await within(pool.end(), answerMs + CLOSE_GRACE_MS).catch(() => {});
  // A socket whose other side is dead would stay open for many minutes.
  const closed = Promise.all([...sockets].map((socket) => once(socket, "close")));
  await within(closed, CLOSE_GRACE_MS).catch(() => {});
  for (const socket of sockets) socket.destroy();
}
