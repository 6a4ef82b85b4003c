/**
 * Thrown when an acknowledgement was refused, or was not answered. Nobody knows then whether it counts; it may be repeated.
 *
 * @example
 * ```ts
 * const error = new AcknowledgementError("The token does not belong to an attempt of this trigger.", { status: 401 });
 * console.log(error.status); // 401
 * ```
 */
export class AcknowledgementError extends Error {
  override readonly name = "AcknowledgementError";
  /** The status of the answer; undefined if there was none. */
  readonly status: number | undefined;

  constructor(
    message: string,
    { status, cause }: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.status = status;
  }
}
