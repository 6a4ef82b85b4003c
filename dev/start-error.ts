/** `npm start` cannot continue. The message is one line: what is wrong, which value, and what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
  /** The exit code of the process: 1, or 2 for a configuration that is not valid. */
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { readonly cause?: unknown; readonly exitCode?: 1 | 2 } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Returns the code of a system error, such as EACCES, or undefined for other errors. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/**
 * Returns the first line of an error's message. A connection that failed on several addresses has the message of the
 * first.
 */
export function problemOf(error: unknown): string {
  if (error instanceof AggregateError) return problemOf(error.errors[0]);
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
