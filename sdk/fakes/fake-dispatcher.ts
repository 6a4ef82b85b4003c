import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { type SignTriggerOptions, signTrigger } from "./sign-trigger.ts";

/** What receives the triggers: a receiver, or anything else that answers requests. */
export interface Endpoint {
  readonly fetch: (request: Request) => Promise<Response>;
}

/** Options of a fake dispatcher. */
export interface FakeDispatcherOptions {
  readonly receiver: Endpoint;
  /** The clock that its pauses move. Give it to the receiver, too. Default: a new one. */
  readonly clock?: FakeClock | undefined;
  /** The signing secret. Default: TEST_SECRET. */
  readonly secret?: string | undefined;
  /** The most attempts of a trigger. Default 8. */
  readonly maxAttempts?: number | undefined;
}

/** One attempt, as it was answered. */
export interface FakeAttempt {
  /** 1 for the first. */
  readonly number: number;
  readonly startTime: Date;
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
}

/** What became of a trigger. */
export interface FakeDelivery {
  /** SUCCEEDED after a 2xx. EXHAUSTED if the trigger was refused for good, or the last attempt failed. */
  readonly state: "SUCCEEDED" | "EXHAUSTED";
  readonly attempts: readonly FakeAttempt[];
}

/** Delivers triggers in this process, as EasyCron would. */
export interface FakeDispatcher {
  readonly clock: FakeClock;
  /** Makes one attempt: signs the trigger, and returns the answer. */
  send(trigger?: SignTriggerOptions): Promise<FakeAttempt>;
  /**
   * Delivers a trigger: makes attempts until one succeeds, the trigger is refused for good, or there are no more. It
   * moves the clock by the pauses between them: 5 s, doubled up to an hour, at least 60 s after a
   * 429, or longer if Retry-After asks for it.
   */
  deliver(trigger?: Omit<SignTriggerOptions, "attempt">): Promise<FakeDelivery>;
}

/**
 * Creates a dispatcher for unit tests of a receiver, without a network:
 * `const { state, attempts } = await createFakeDispatcher({ receiver }).deliver({ job: "payroll" });`
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const clock = createFakeClock();
 * const receiver = createReceiver({ secrets: secret, clock, onTrigger: () => {} });
 * const { state, attempts } = await createFakeDispatcher({ receiver, clock, secret }).deliver({ job: "payroll" });
 * console.log(state, attempts.length); // SUCCEEDED 1
 * ```
 */
export function createFakeDispatcher(options: FakeDispatcherOptions): FakeDispatcher {
  const { receiver, clock = createFakeClock(), secret, maxAttempts = 8 } = options;
  const send = async (trigger: SignTriggerOptions = {}): Promise<FakeAttempt> => {
    const signed = signTrigger({ secret, ...trigger, now: clock.now() });
    const startTime = clock.now();
    const response = await receiver.fetch(signed.request());
    return {
      number: signed.trigger.attempt,
      startTime,
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  };
  return {
    clock,
    send,
    deliver: async (trigger = {}) => {
      // Every attempt is of the same trigger, although the clock goes on.
      const { id, trigger: data } = signTrigger({ secret, ...trigger, now: clock.now() });
      const attempts: FakeAttempt[] = [];
      for (;;) {
        const attempt = await send({ ...data, trigger: id, attempt: attempts.length + 1 });
        attempts.push(attempt);
        if (attempt.status >= 200 && attempt.status < 300) return { state: "SUCCEEDED", attempts };
        if (isFinal(attempt) || attempts.length >= maxAttempts) return { state: "EXHAUSTED", attempts };
        await clock.advance(pauseMs(attempt));
      }
    },
  };
}

// The default of a job's nonRetryableStatusCodes, and 410, which is always final.
const FINAL: ReadonlySet<number> = new Set([405, 410, 413, 414, 415, 422]);

function isFinal({ status, headers }: FakeAttempt): boolean {
  return FINAL.has(status) || ["abort-message", "disable"].includes(headers["webhook-delivery"] ?? "");
}

function pauseMs({ number, status, headers }: FakeAttempt): number {
  const ownMs = Math.min(5_000 * 2 ** (number - 1), 3_600_000);
  const isBusy = status === 409 || status === 429 || status >= 500;
  const headerMs = isBusy ? Number(headers["retry-after"] ?? 0) * 1_000 : 0;
  const askedMs = status === 429 ? Math.max(headerMs, 60_000) : headerMs;
  return askedMs > ownMs ? Math.min(askedMs, 3_600_000) : ownMs;
}
