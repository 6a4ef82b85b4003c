import type { ChildProcess } from "node:child_process";
import { backoffMs } from "../mesh/backoff.ts";

/** A program that a supervisor keeps running. */
export interface Program {
  /** The name that the user sees, such as "scheduler-0". */
  readonly name: string;
  /** Starts a new process of it. */
  start(): ChildProcess;
  /** Calls `ready` as soon as the process serves. */
  watchReady(child: ChildProcess, ready: () => void): void;
  /** The signal that asks it to stop. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
}

/**
 * An event of a program. Each of its processes causes "started", then "ready" (unless it ends before), then "ended".
 */
export type ProgramEvent =
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "ready"; readonly pid: number }
  | {
      readonly kind: "ended";
      readonly how: string;
      readonly exitCode: number | null;
      readonly restartInMs?: number;
    };

/** When a program that ended is restarted. */
export interface RestartPolicy {
  /** The pause after the first end. It doubles with each further end. */
  readonly minMs: number;
  /** The longest pause. */
  readonly maxMs: number;
  /** After a process that ran this long, the pause starts from `minMs` again. */
  readonly resetAfterMs: number;
  /** The longest time from the first start of the program until it is ready. */
  readonly readyWithinMs: number;
}

const POLICY: RestartPolicy = { minMs: 100, maxMs: 5_000, resetAfterMs: 10_000, readyWithinMs: 60_000 };

/** A program under supervision. */
export interface Supervised {
  readonly name: string;
  /** Returns the pid of the running process; undefined while none runs. */
  pid(): number | undefined;
  /** Returns the pid of the process that runs now or ran last. */
  lastPid(): number | undefined;
  /** Resolves when a process is ready: the running one, or the next. Rejects if the first process never was ready. */
  untilReady(): Promise<void>;
  /** Resolves when the running process has ended; at once while none runs. */
  untilEnded(): Promise<void>;
  /**
   * Stops it and does not restart it. Sends the stop signal, and SIGKILL if it still runs after `graceMs`. If
   * `hurryMs` is given, sends the stop signal again after that time: a service then no longer waits for its work.
   */
  stop(graceMs: number, hurryMs?: number): Promise<void>;
}

/** The first process of a program ended before it was ready, or was not ready in time; or the program was stopped. */
export class ProgramFailedError extends Error {
  override readonly name = "ProgramFailedError";
  /** Its exit code if it ended by itself, else null. */
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Starts a program and restarts it whenever it ends, with growing pauses while it keeps ending. A program whose first
 * process ends before it is ready is not restarted, because it would fail in the same way.
 */
export function supervise(
  program: Program,
  onEvent: (event: ProgramEvent) => void = () => {},
  policy: RestartPolicy = POLICY,
): Supervised {
  return new Supervisor(program, onEvent, policy);
}

class Supervisor implements Supervised {
  readonly name: string;
  readonly #program: Program;
  readonly #onEvent: (event: ProgramEvent) => void;
  readonly #policy: RestartPolicy;
  #child: ChildProcess | undefined;
  #lastPid: number | undefined;
  #gone = Promise.withResolvers<void>();
  #ready = createReady();
  #phase: "starting" | "running" | "stopped" = "starting";
  /**
   * Until the program is ready for the first time, this limits the time for that. Afterwards it waits for the
   * restart.
   */
  #timer: NodeJS.Timeout;
  #endsInARow = 0;

  constructor(program: Program, onEvent: (event: ProgramEvent) => void, policy: RestartPolicy) {
    this.name = program.name;
    this.#program = program;
    this.#onEvent = onEvent;
    this.#policy = policy;
    this.#timer = setTimeout(() => {
      this.#giveUp(`was not ready within ${policy.readyWithinMs / 1_000} s`, null);
      this.#child?.kill("SIGKILL");
    }, policy.readyWithinMs);
    this.#start();
  }

  pid(): number | undefined {
    return this.#child?.pid;
  }

  lastPid(): number | undefined {
    return this.#lastPid;
  }

  untilReady(): Promise<void> {
    return this.#ready.promise;
  }

  async untilEnded(): Promise<void> {
    if (this.#child !== undefined) await this.#gone.promise;
  }

  async stop(graceMs: number, hurryMs?: number): Promise<void> {
    this.#giveUp("was stopped", null);
    const signal = () => this.#child?.kill(this.#program.stopSignal ?? "SIGTERM");
    signal();
    const hurry = hurryMs === undefined ? undefined : setTimeout(signal, hurryMs);
    const kill = setTimeout(() => this.#child?.kill("SIGKILL"), graceMs);
    await this.untilEnded();
    clearTimeout(hurry);
    clearTimeout(kill);
  }

  #start(): void {
    const startedMs = performance.now();
    const child = this.#program.start();
    this.#child = child;
    this.#lastPid = child.pid;
    this.#gone = Promise.withResolvers<void>();
    const end = (how: string, exitCode: number | null) => {
      // A process that could not be started may emit both "error" and "exit".
      if (this.#child === child) this.#onEnd(how, exitCode, performance.now() - startedMs);
    };
    child.on("error", (error) => {
      if (child.pid === undefined) end(`could not be started: ${error.message}`, null);
    });
    child.once("exit", (code, by) =>
      end(by === null ? `ended with code ${code}` : `was ended by ${by}`, code),
    );
    if (child.pid !== undefined) this.#onEvent({ kind: "started", pid: child.pid });
    this.#program.watchReady(child, () => {
      if (this.#child === child) this.#onReady(child.pid ?? 0);
    });
  }

  #onReady(pid: number): void {
    if (this.#phase === "stopped") return;
    clearTimeout(this.#timer);
    this.#phase = "running";
    this.#ready.resolve();
    this.#onEvent({ kind: "ready", pid });
  }

  #onEnd(how: string, exitCode: number | null, ranMs: number): void {
    this.#child = undefined;
    this.#gone.resolve();
    if (this.#phase !== "running") {
      this.#giveUp(how, exitCode);
      this.#onEvent({ kind: "ended", how, exitCode });
      return;
    }
    if (this.#ready.isSettled()) this.#ready = createReady();
    this.#endsInARow = ranMs >= this.#policy.resetAfterMs ? 1 : this.#endsInARow + 1;
    const { minMs, maxMs } = this.#policy;
    const restartInMs = backoffMs({
      attempt: this.#endsInARow,
      minMs,
      maxMs,
      jitter: 0,
      random: Math.random,
    });
    this.#timer = setTimeout(() => this.#start(), restartInMs);
    this.#onEvent({ kind: "ended", how, exitCode, restartInMs });
  }

  #giveUp(how: string, exitCode: number | null): void {
    clearTimeout(this.#timer);
    this.#phase = "stopped";
    this.#ready.reject(new ProgramFailedError(`${this.name} ${how}`, exitCode));
  }
}

function createReady() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let settled = false;
  const settle = () => {
    settled = true;
  };
  // Without a handler, a rejection would end the process when nobody waits for the promise.
  promise.then(settle, settle);
  return {
    promise,
    reject,
    resolve: () => {
      settled = true;
      resolve();
    },
    isSettled: () => settled,
  };
}
