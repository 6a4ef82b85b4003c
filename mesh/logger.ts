import { type DestinationStream, pino } from "pino";
import { oneOf, readEnv } from "./config.ts";
import { currentCall } from "./current-call.ts";
import { parseTraceparent } from "./trace.ts";

/** The logger of one service. Log an error under the key `err`. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const SECRETS = ["authorization", "secret", "apiKey", "password", "databaseUrl", "masterKey"];

/** The arguments of the failed command in an error of ioredis: the password of AUTH, or a customer's message. */
const ARGUMENTS = ["err", "err.*", "err.aggregateErrors[*]"].map((error) => `${error}.command.args`);

/**
 * Creates a logger that writes JSON lines to stdout, with the name of the service. The values of fields that are
 * named like a secret are replaced, three levels deep, and so are the arguments of a failed Redis command.
 * A line about a call that is being served has its `requestId` and `traceId`.
 * EASYCRON_LOG_LEVEL sets the lowest level that is written: debug, info, warn, error or silent; default info.
 */
export function createLogger(name: string, env: NodeJS.ProcessEnv, destination?: DestinationStream): Logger {
  const { level } = readEnv(env, {
    level: oneOf("EASYCRON_LOG_LEVEL", ["debug", "info", "warn", "error", "silent"], { default: "info" }),
  });
  const paths = [...SECRETS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), ...ARGUMENTS];
  const options = { name, level, redact: { paths, censor: "[secret]" }, base: { pid: process.pid }, mixin };
  return destination === undefined ? pino(options) : pino(options, destination);
}

function mixin(): object {
  const call = currentCall();
  if (call === undefined) return {};
  return { requestId: call.requestId, traceId: parseTraceparent(call.traceparent)?.traceId };
}
