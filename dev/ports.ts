import { createServer } from "node:net";
import { systemCode } from "./start-error.ts";

// These are below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections. So no
// outgoing connection can take the port of a service while it restarts.
const FIRST_PORT = 15_000;
const LAST_PORT = 29_999;

/** Returns `count` ports of 127.0.0.1 on which nothing listens. `preferred` is one of them if it is free. */
export async function findFreePorts(count: number, preferred?: number): Promise<number[]> {
  const found = new Set<number>();
  if (preferred !== undefined && (await whyTaken(preferred)) === undefined) found.add(preferred);
  while (found.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if ((await whyTaken(port)) === undefined) found.add(port);
  }
  return [...found].slice(0, count);
}

/** Returns why a port of 127.0.0.1 cannot be used, as a system error code such as EADDRINUSE; undefined if it can. */
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
