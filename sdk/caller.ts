import type { DescMessage, DescMethodUnary } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { startClientSpan } from "./client-span.ts";
import { decode } from "./decode.ts";
import { EasyCronError, InvalidArgumentError } from "./easycron-error.ts";
import { encode } from "./encode.ts";
import type { InputOf, OutputOf } from "./plain-types.ts";
import { retry } from "./retry.ts";

/** The longest time that a timer takes: 24.8 days. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Whether a value can be a timeout. */
export function isTimeout(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value <= MAX_TIMEOUT_MS;
}

/** What every method accepts beside the fields of its request. */
export interface CallOptions {
  /** How long the call may take with its retries, in milliseconds. Default: that of the client. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The options of a method: the fields of its request but for those given as arguments, and the call options. */
export type Options<Request extends DescMessage, Given extends string = never> = Omit<
  InputOf<Request>,
  Given
> &
  CallOptions;

/** Calls a method of the API with plain objects. */
export interface Caller {
  /**
   * Checks and sends a request, and returns the answer. Repeats the call if that is safe: it only reads, it is
   * idempotent, or it has a request id, which is made if it is not given. Throws an EasyCronError.
   */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: InputOf<I> & CallOptions,
  ): Promise<OutputOf<O>>;
}

/** How calls are made. */
export interface CallerSettings {
  readonly transport: Transport;
  readonly timeoutMs: number;
  readonly maxRetries: number;
}

/** Creates a caller. */
export function createCaller({ transport, timeoutMs: ownTimeoutMs, maxRetries }: CallerSettings): Caller {
  return {
    call: async (method, request) => {
      const { timeoutMs = ownTimeoutMs, signal, ...fields } = toFields(request);
      checkOptions(timeoutMs, signal);
      const takesRequestId = method.input.fields.some(({ name }) => name === "request_id");
      if (takesRequestId && isUnset(fields.requestId)) fields.requestId = createRequestId();
      const message = encode(method.input, fields);
      const requestId = takesRequestId ? String(fields.requestId) : undefined;
      const isSafe =
        takesRequestId || method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
      const span = startClientSpan(`${method.parent.typeName}/${method.name}`);
      const attempt = async (leftMs: number) => {
        try {
          return await transport.unary(method, signal, Math.ceil(leftMs), span?.headers, message);
        } catch (error) {
          throw EasyCronError.from(error, requestId);
        }
      };
      try {
        const answer = await retry(attempt, { maxRetries: isSafe ? maxRetries : 0, timeoutMs, signal });
        const output = decode(method.output, answer.message);
        span?.end();
        return output;
      } catch (error) {
        span?.end(error instanceof EasyCronError ? error.code : "error");
        throw error;
      }
    },
  };
}

/** Returns a copy of a request. Plain JavaScript may give undefined, or a name where the request belongs. */
function toFields(request: unknown): Record<string, unknown> & CallOptions {
  if (typeof request === "object" || request === undefined) return { ...request };
  throw InvalidArgumentError.forViolations([{ field: "", description: "must be an object." }]);
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === "";
}

function checkOptions(timeoutMs: unknown, signal: unknown): void {
  const violations = [];
  if (!isTimeout(timeoutMs)) {
    violations.push({
      field: "timeoutMs",
      description: `must be milliseconds above 0, at most ${MAX_TIMEOUT_MS}.`,
    });
  }
  if (signal !== undefined && typeof (signal as Partial<AbortSignal>).addEventListener !== "function") {
    violations.push({ field: "signal", description: "must be an AbortSignal." });
  }
  if (violations.length > 0) throw InvalidArgumentError.forViolations(violations);
}

/** Makes a request id of 128 random bits. */
function createRequestId(): string {
  // randomUUID is missing in browsers on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `sdk_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Returns what an answer must contain. Throws an EasyCronError (INTERNAL) if it is missing. */
export function required<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new EasyCronError(`The answer has no ${name}.`, { code: "INTERNAL" });
}
