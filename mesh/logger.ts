import { type DestinationStream, pino } from "pino";
import { oneOf, readEnv } from "./config.ts";

/** A logger of one service. `err` is the key for errors. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const SECRETS = ["authorization", "secret", "apiKey", "password", "databaseUrl", "masterKey"];

/**
 * Writes JSON lines to stdout under the service's name. Fields named like a secret are blacked out, three levels
 * deep. EASYCRON_LOG_LEVEL (debug, info, warn, error, silent; default info) says from which level on.
 */
export function createLogger(name: string, env: NodeJS.ProcessEnv, destination?: DestinationStream): Logger {
  const { level } = readEnv(env, {
    level: oneOf("EASYCRON_LOG_LEVEL", ["debug", "info", "warn", "error", "silent"], { default: "info" }),
  });
  const paths = SECRETS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);
  const options = { name, level, redact: { paths, censor: "[secret]" }, base: { pid: process.pid } };
  return destination === undefined ? pino(options) : pino(options, destination);
}
