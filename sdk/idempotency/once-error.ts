/**
 * The claim was lost while the handler ran: its lease ended, and another attempt may have taken over. What the handler
 * did is not recorded as done. Let the attempt fail; the next one finds out.
 *
 * @example
 * ```ts
 * try {
 *   await once("trg_1", memoryStore(), () => console.log("at work"));
 * } catch (error) {
 *   if (!(error instanceof LostClaimError)) throw error;
 *   console.log("Another attempt may do it, too.");
 * }
 * ```
 */
export class LostClaimError extends Error {
  override readonly name = "LostClaimError";

  constructor(id: string, cause?: unknown) {
    super(`The claim on ${id} was lost before its handler was done, so another attempt may run it, too.`, {
      cause,
    });
  }
}

/**
 * The handler ran for longer than `maxRunMs`. It may still be running; its signal is aborted.
 *
 * @example
 * ```ts
 * try {
 *   await once("trg_1", memoryStore(), () => console.log("at work"), { maxRunMs: 60_000 });
 * } catch (error) {
 *   if (!(error instanceof HandlerTimeoutError)) throw error;
 *   console.log("It did not end within a minute.");
 * }
 * ```
 */
export class HandlerTimeoutError extends Error {
  override readonly name = "HandlerTimeoutError";

  constructor(id: string, maxRunMs: number) {
    super(
      `The handler of ${id} has not ended within ${maxRunMs / 1_000} s; make it end when its signal is aborted, or set maxRunMs.`,
    );
  }
}
