/** Options of a RefuseTriggerError. */
export interface RefuseTriggerOptions {
  /** The status of the answer, 400 to 499. Default 422. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Thrown by a handler that never wants this trigger: `throw new RefuseTriggerError("There is no company 42.")`. The
 * answer has the status 422 and the header `webhook-delivery: abort-message`, so no further attempt is made. EasyCron
 * shows the message with the attempt.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const receiver = createReceiver({
 *   secrets: secret,
 *   onError: () => {},
 *   onTrigger: () => {
 *     throw new RefuseTriggerError("There is no company 42.");
 *   },
 * });
 * const { status } = await receiver.fetch(signTrigger({ secret }).request());
 * console.log(status); // 422
 * ```
 */
export class RefuseTriggerError extends Error {
  override readonly name = "RefuseTriggerError";
  /** The status of the answer. */
  readonly status: number;

  constructor(message: string, { status = 422, cause }: RefuseTriggerOptions = {}) {
    super(message, { cause });
    if (!(Number.isInteger(status) && status >= 400 && status <= 499)) {
      throw new RangeError(`The status is ${status}; it must be 400 to 499.`);
    }
    this.status = status;
  }
}

/** Options of a TryAgainError. */
export interface TryAgainOptions {
  /** How long EasyCron should wait at least, in milliseconds. Default: as the job's retry policy says. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Thrown by a handler that cannot do its work now: `throw new TryAgainError("The bank is closed.", { retryAfterMs })`.
 * The answer has the status 503 and Retry-After. EasyCron shows the message with the attempt.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const receiver = createReceiver({
 *   secrets: secret,
 *   onError: () => {},
 *   onTrigger: () => {
 *     throw new TryAgainError("The bank is closed.", { retryAfterMs: 60_000 });
 *   },
 * });
 * const { status } = await receiver.fetch(signTrigger({ secret }).request());
 * console.log(status); // 503
 * ```
 */
export class TryAgainError extends Error {
  override readonly name = "TryAgainError";
  /** How long to wait at least, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { retryAfterMs, cause }: TryAgainOptions = {}) {
    super(message, { cause });
    if (retryAfterMs !== undefined && !(retryAfterMs >= 0 && Number.isFinite(retryAfterMs))) {
      throw new RangeError(`retryAfterMs is ${retryAfterMs}; it must be 0 or more.`);
    }
    this.retryAfterMs = retryAfterMs;
  }
}

/** The body cannot be read as it was sent. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  /** The status of the answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
