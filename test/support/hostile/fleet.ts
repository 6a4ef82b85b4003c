import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import type { TestAuthority } from "../certificate.ts";
import type { Behaviour } from "./behaviour.ts";
import { PLAIN } from "./plain.ts";
import { TLS } from "./tls.ts";

/** Every hostile behaviour. */
export const BEHAVIOURS: readonly Behaviour[] = [...PLAIN, ...TLS];

/** A server that misbehaves. */
export interface HostileServer {
  readonly url: string;
  /** How many connections it has accepted so far. */
  readonly accepted: number;
  /** Closes it and all its connections. */
  stop(): void;
}

/** Starts a server with a behaviour on a free port of the loopback address. */
export async function startHostile(behaviour: Behaviour, authority: TestAuthority): Promise<HostileServer> {
  const server = behaviour.create(authority);
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on("connection", (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1", 1_024);
  await once(server, "listening");
  const scheme = behaviour.isTls === true ? "https" : "http";
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get accepted() {
      return accepted;
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
