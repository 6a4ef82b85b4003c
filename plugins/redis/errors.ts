import { ReplyError } from "ioredis";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { NotConnectedError } from "./connection.ts";

/** What an error means for a message. */
export interface Failed {
  readonly outcome: AttemptOutcome;
  /** In words for the customer. */
  readonly error: string;
}

/** The words for the customer, by the code that begins an error of Redis. Nothing is written with any of them. */
const REPLIES: Readonly<Record<string, Failed>> = {
  OOM: { outcome: AttemptOutcome.REJECTED, error: "The managed Redis has no memory left." },
  WRONGTYPE: {
    outcome: AttemptOutcome.REJECTED,
    error: "There is a value of another type under this name; use another name.",
  },
  LOADING: { outcome: AttemptOutcome.NOT_SENT, error: "The managed Redis is starting." },
  READONLY: {
    outcome: AttemptOutcome.NOT_SENT,
    error: "The managed Redis is a replica, and cannot be written now.",
  },
  MISCONF: { outcome: AttemptOutcome.NOT_SENT, error: "The managed Redis cannot store data now." },
  BUSY: { outcome: AttemptOutcome.NOT_SENT, error: "The managed Redis is busy." },
};

const OTHER_REPLY: Failed = {
  outcome: AttemptOutcome.NOT_SENT,
  error: "The managed Redis refused the message.",
};

const NOT_CONNECTED: Failed = {
  outcome: AttemptOutcome.NOT_SENT,
  error: "The managed Redis cannot be reached now.",
};

const NO_ANSWER: Failed = {
  outcome: AttemptOutcome.UNKNOWN,
  error: "The managed Redis did not answer in time; the message may have been written.",
};

/** Returns the code that begins an error reply of Redis, such as OOM; undefined for any other error. */
export function replyCode(error: unknown): string | undefined {
  return error instanceof ReplyError ? /^[A-Z]+/.exec((error as Error).message)?.[0] : undefined;
}

/**
 * Returns what an error means for a message. Source of the codes: redis.io, "RESP protocol", simple errors;
 * the scripts write nothing before the command that may be refused.
 */
export function classify(error: unknown): Failed {
  if (error instanceof NotConnectedError) return NOT_CONNECTED;
  if (!(error instanceof ReplyError)) return NO_ANSWER;
  return REPLIES[replyCode(error) ?? ""] ?? OTHER_REPLY;
}
