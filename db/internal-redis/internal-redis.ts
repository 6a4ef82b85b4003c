import type { Logger } from "../../mesh/logger.ts";
import { readServerFacts } from "./check-server.ts";
import { connect, type RedisConnection, replyCode } from "./connect.ts";
import type { Script } from "./script.ts";

/**
 * The small Redis of the control plane. It makes things cheaper and shares limits between processes, and nothing that is
 * correct depends on it. While it cannot be used, each call of it fails at once, and the caller goes on without it.
 */
export interface InternalRedis {
  /** Whether it is used now. */
  isUp(): boolean;
  /** Resolves as soon as it is known whether it can be used: after at most about a second. */
  untilKnown(): Promise<void>;
  /**
   * Runs a script and returns its answer. Rejects with a RedisAwayError at once while Redis is away, and after 400 ms when
   * it does not answer: the script may have run then. Rejects with the server's error if the script fails.
   */
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Calls a function each time that Redis is used again after it was away. */
  onBack(listener: () => void): void;
  close(): void;
}

/** Redis cannot be used now. */
export class RedisAwayError extends Error {
  override readonly name = "RedisAwayError";
}

/** How the internal Redis is opened. */
export interface InternalRedisOptions {
  readonly url: string;
  /** The service, which names its connection on the server. */
  readonly service: string;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** A clock that never steps, in milliseconds. */
  readonly elapsedMs?: () => number;
  /** How long an answer may take, in milliseconds. Default: 400. */
  readonly answerLimitMs?: number;
}

/** How long an answer may take. With LOOK_EVERY_MS it is less than a second, also for a process that asks nothing. */
const ANSWER_LIMIT_MS = 400;
/** The pause between two looks at the server. Each writes a key, because a server may answer and not take a write. */
const LOOK_EVERY_MS = 400;
/** How long the key of a look lives. */
const LOOK_KEY_MS = 2_000;
/** Most scripts under way at once. More fail at once, so that a slow server takes no memory of this process. */
const MAX_UNDER_WAY = 5_000;
/**
 * A server that goes away again within the first of these times is left alone for a while, which is doubled each time. So a
 * server that comes and goes is neither used nor written about again and again.
 */
const UNSTEADY_MS = 10_000;
const MIN_LEFT_ALONE_MS = 1_000;
const MAX_LEFT_ALONE_MS = 60_000;
/** A script that fails is logged at most this often. */
const REPORT_EVERY_MS = 10_000;

/** Errors by which the server says that it takes no writes at all. The others are about one command. */
const AWAY_CODES: ReadonlySet<string> = new Set([
  ...["READONLY", "OOM", "MISCONF", "LOADING", "BUSY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "MOVED"],
  ...["NOAUTH", "WRONGPASS", "NOPERM"],
]);
/** Errors after which another server may be found under the same name. */
const REOPEN_CODES: ReadonlySet<string> = new Set(["READONLY", "MASTERDOWN", "NOAUTH", "WRONGPASS"]);
/** Each look at such a server would open a connection, and each connection begins with a look. */
const REOPEN_EVERY_MS = 1_000;

interface State {
  readonly options: InternalRedisOptions;
  readonly connection: RedisConnection;
  readonly listeners: (() => void)[];
  readonly known: PromiseWithResolvers<void>;
  readonly lookKey: string;
  is: "unknown" | "up" | "away";
  /** Whether this connection's server has been asked for its version. */
  isChecked: boolean;
  hasAdvised: boolean;
  isLooking: boolean;
  /** The scripts that the server of this connection has. */
  readonly loaded: Set<string>;
  /** Raised when a connection is opened, and when it is given up. */
  opened: number;
  underWay: number;
  /** When it was found to be up, or away. */
  sinceMs: number;
  /** It is not used before this time. */
  notBeforeMs: number;
  leftAloneMs: number;
  failureReportedMs: number;
  /** When the connection was closed last because of an error of REOPEN_CODES. */
  reopenedMs: number;
}

/**
 * Opens the internal Redis. Returns at once, whether it is there or not. One log line says that it cannot be used, one that
 * it is used again.
 */
export function openInternalRedis(options: InternalRedisOptions): InternalRedis {
  const { url, service } = options;
  const connection = connect(url, `easycron-${service}`, {
    onOpen: () => {
      state.opened += 1;
      state.loaded.clear();
      void look(state);
    },
    onLost: (error) => {
      state.isChecked = false;
      setAway(state, error);
    },
  });
  const state: State = {
    options,
    connection,
    listeners: [],
    known: Promise.withResolvers<void>(),
    lookKey: `easycron:look:${process.pid}:${Math.random().toString(36).slice(2)}`,
    is: "unknown",
    isChecked: false,
    hasAdvised: false,
    isLooking: false,
    loaded: new Set(),
    opened: 0,
    underWay: 0,
    sinceMs: elapsed(options),
    notBeforeMs: 0,
    leftAloneMs: 0,
    failureReportedMs: Number.NEGATIVE_INFINITY,
    reopenedMs: Number.NEGATIVE_INFINITY,
  };
  const looking = setInterval(() => void look(state), LOOK_EVERY_MS).unref();
  return {
    isUp: () => state.is === "up",
    untilKnown: () => state.known.promise,
    run: (script, keys, args) => run(state, script, keys, args),
    onBack: (listener) => state.listeners.push(listener),
    close: () => {
      clearInterval(looking);
      state.known.resolve();
      connection.close();
    },
  };
}

function elapsed({ elapsedMs = () => performance.now() }: InternalRedisOptions): number {
  return elapsedMs();
}

async function run(
  state: State,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  if (state.is !== "up") throw new RedisAwayError("The internal Redis cannot be used now.");
  if (state.underWay >= MAX_UNDER_WAY) {
    throw new RedisAwayError(`${MAX_UNDER_WAY} calls of the internal Redis are under way.`);
  }
  state.underWay += 1;
  try {
    return await evaluate(state, script, [keys.length, ...keys, ...args]);
  } catch (error) {
    if (state.is === "up") reportFailure(state, error);
    throw error;
  } finally {
    state.underWay -= 1;
  }
}

async function evaluate(
  state: State,
  { sha, lua }: Script,
  operands: readonly (string | number)[],
): Promise<unknown> {
  const { loaded } = state;
  try {
    if (loaded.has(sha)) return await ask(state, "EVALSHA", sha, ...operands);
  } catch (error) {
    // Somebody has removed the scripts of the server.
    if (replyCode(error) !== "NOSCRIPT") throw error;
  }
  const answer = await ask(state, "EVAL", lua, ...operands);
  loaded.add(sha);
  return answer;
}

/** Logs that a script failed although the server can be used. Callers go on without Redis, so nobody else would say it. */
function reportFailure(state: State, error: unknown): void {
  const nowMs = elapsed(state.options);
  if (error instanceof RedisAwayError || nowMs < state.failureReportedMs + REPORT_EVERY_MS) return;
  state.failureReportedMs = nowMs;
  state.options.logger.warn({ err: error }, "a script of the internal Redis failed; going on without it");
}

/** Sends a command and waits for its answer. What says that Redis cannot be used sets it away. */
async function ask(state: State, name: string, ...args: readonly (string | number)[]): Promise<unknown> {
  const { connection, opened } = state;
  if (!connection.isOpen()) throw new RedisAwayError("There is no connection to the internal Redis.");
  try {
    return await inTime(connection.send(name, ...args), state.options.answerLimitMs ?? ANSWER_LIMIT_MS);
  } catch (error) {
    const code = replyCode(error) ?? "";
    // Many commands fail together, and the connection may be another one by now.
    if (opened !== state.opened) throw error;
    if (error instanceof RedisAwayError || AWAY_CODES.has(code)) setAway(state, error);
    if (error instanceof RedisAwayError || (REOPEN_CODES.has(code) && mayReopen(state))) {
      state.opened += 1;
      connection.reopen();
    }
    throw error;
  }
}

function mayReopen(state: State): boolean {
  const nowMs = elapsed(state.options);
  if (nowMs < state.reopenedMs + REOPEN_EVERY_MS) return false;
  state.reopenedMs = nowMs;
  return true;
}

function inTime<T>(asked: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () =>
      reject(new RedisAwayError(`The internal Redis did not answer within ${limitMs} ms.`));
    // If this process stood still, the answer may be here and not yet read. It is read before an immediate runs.
    const tooLate = setTimeout(() => setImmediate(giveUp), limitMs);
    asked.then(resolve, reject).finally(() => clearTimeout(tooLate));
  });
}

/** Looks whether the server can be used: whether it is new enough and takes a write. */
async function look(state: State): Promise<void> {
  const { connection, opened } = state;
  if (state.isLooking || !connection.isOpen()) return;
  state.isLooking = true;
  try {
    if (!state.isChecked) await check(state);
    await ask(state, "SET", state.lookKey, "1", "PX", LOOK_KEY_MS);
    // A connection that was given up meanwhile may still answer.
    if (opened === state.opened) setUp(state);
  } catch (error) {
    // Whatever it was: a server that does not take this write is not used.
    if (opened === state.opened || state.is !== "up") setAway(state, error);
  } finally {
    state.isLooking = false;
  }
}

/** Checks the version of a server that was connected. Throws a RedisAwayError if it is too old. */
async function check(state: State): Promise<void> {
  const { logger } = state.options;
  const sections = await Promise.all(
    ["server", "memory"].map((section) =>
      // A user without the right to INFO can be given all the same.
      ask(state, "INFO", section).catch((error: unknown) => {
        if (replyCode(error) === "NOPERM") return "";
        throw error;
      }),
    ),
  );
  const { version, unusable, advice } = readServerFacts(sections.join("\n"));
  if (unusable !== undefined) throw new Error(unusable);
  state.isChecked = true;
  if (state.hasAdvised) return;
  state.hasAdvised = true;
  for (const each of advice)
    logger.warn({ advice: each }, "the internal Redis should be configured otherwise");
  if (state.is === "unknown") logger.info({ version }, "using the internal Redis");
}

function setUp(state: State): void {
  const { options, listeners, known } = state;
  const nowMs = elapsed(options);
  if (state.is === "up" || nowMs < state.notBeforeMs) return;
  const wasAway = state.is === "away";
  const awayMs = Math.round(nowMs - state.sinceMs);
  state.is = "up";
  state.sinceMs = nowMs;
  known.resolve();
  if (!wasAway) return;
  options.logger.info({ awayMs }, "the internal Redis is used again; limits are shared by all processes");
  for (const listener of listeners) listener();
}

function setAway(state: State, error: unknown): void {
  const { options, known } = state;
  if (state.is === "away") return;
  const nowMs = elapsed(options);
  const isUnsteady = state.is === "up" && nowMs - state.sinceMs < UNSTEADY_MS;
  state.leftAloneMs = isUnsteady
    ? Math.min(Math.max(MIN_LEFT_ALONE_MS, 2 * state.leftAloneMs), MAX_LEFT_ALONE_MS)
    : 0;
  state.notBeforeMs = nowMs + state.leftAloneMs;
  state.is = "away";
  state.sinceMs = nowMs;
  known.resolve();
  options.logger.warn(
    { err: error },
    "degraded: the internal Redis cannot be used; each process has its own limits until it can",
  );
}
