import { createServer } from "node:net";
import { systemCode } from "./start-error.ts";

// Below the ports that Linux (32768) and macOS (49152) give to outgoing connections: while a service is being
// restarted, none of those can take its port.
const FIRST_PORT = 15_000;
const LAST_PORT = 29_999;

/** Finds ports of the loopback address on which nothing listens; `preferred` is among them if it is free. */
export async function findFreePorts(count: number, preferred?: number): Promise<number[]> {
  const found = new Set<number>();
  if (preferred !== undefined && (await whyTaken(preferred)) === undefined) found.add(preferred);
  while (found.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if ((await whyTaken(port)) === undefined) found.add(port);
  }
  return [...found].slice(0, count);
}

/** Why a port of the loopback address cannot be listened on, as a system error's code; undefined when it can. */
export function whyTaken(port: number): Promise<string | undefined> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", (error) => {
      const code = systemCode(error);
      if (code === undefined) fail(error);
      else done(code);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => done(undefined)));
  });
}
