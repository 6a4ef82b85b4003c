import { type Caller, type CallOptions, required } from "../caller.ts";
import { EasyCronError, type EasyCronErrorParts, TimeoutError } from "../easycron-error.ts";
import { OperationService } from "../gen/easycron/v1/operation_service_pb.ts";
import type { Operation } from "../resources.ts";
import { sleep } from "../retry.ts";

const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5_000;

/** How to wait for an operation. */
export interface WaitOptions {
  /** Is called with the operation each time it has been read. */
  readonly onProgress?: ((operation: Operation) => void) | undefined;
  /** How long to wait, in milliseconds. Default: until it ends. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting, not the operation, when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** An operation as it was when it was read, and the means to wait for its end. */
export interface RunningOperation extends Operation {
  /**
   * Reads the operation until it has ended, and returns it. Throws an OperationFailedError if it FAILED or was
   * CANCELLED, a TimeoutError when the time is used up, a CancelledError when the signal is aborted.
   */
  wait(options?: WaitOptions): Promise<Operation>;
}

/**
 * An operation that ended without success.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.operations.wait("op_01jd3k8z5me9t8r7q6p5n4m3k2");
 * } catch (error) {
 *   if (!(error instanceof OperationFailedError)) throw error;
 *   console.log(error.operation.state, error.operation.error);
 * }
 * ```
 */
export class OperationFailedError extends EasyCronError {
  override readonly name = "OperationFailedError";
  /** The operation as it ended. */
  readonly operation: Operation;

  constructor(message: string, parts: EasyCronErrorParts, operation: Operation) {
    super(message, parts);
    this.operation = operation;
  }
}

/** Adds `wait` to an operation. It is not enumerable, so the operation stays plain data for JSON and comparisons. */
export function toRunning(caller: Caller, operation: Operation): RunningOperation {
  const wait = (options?: WaitOptions) => waitForEnd(caller, operation, options);
  return Object.defineProperty({ ...operation }, "wait", { value: wait }) as RunningOperation;
}

/** Reads an operation. */
export async function readOperation(
  caller: Caller,
  id: string,
  options: CallOptions = {},
): Promise<Operation> {
  const { operation } = await caller.call(OperationService.method.getOperation, { ...options, id });
  return required(operation, "operation");
}

async function waitForEnd(caller: Caller, first: Operation, options: WaitOptions = {}): Promise<Operation> {
  const { onProgress, timeoutMs, signal } = options;
  const untilMs = Date.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let operation = first;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5)) {
    onProgress?.(operation);
    if (operation.state !== "RUNNING") return assertSucceeded(operation);
    const leftMs = untilMs - Date.now();
    if (leftMs <= 0) {
      const message = `Operation ${operation.id} is still running after ${timeoutMs} ms. It goes on.`;
      throw new TimeoutError(message, { code: "DEADLINE_EXCEEDED" });
    }
    await sleep(Math.min(pauseMs, leftMs), signal);
    const timeLeft = timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, untilMs - Date.now()) };
    operation = await readOperation(caller, operation.id, { ...timeLeft, signal });
  }
}

function assertSucceeded(operation: Operation): Operation {
  if (operation.state === "SUCCEEDED") return operation;
  const code = operation.state === "CANCELLED" ? "CANCELLED" : "ABORTED";
  const why = operation.error === "" ? "" : `: ${operation.error}`;
  throw new OperationFailedError(
    `Operation ${operation.id} is ${operation.state}${why}`,
    { code },
    operation,
  );
}
