import net, { type AddressInfo } from "node:net";

/** A TCP proxy that fails as networks and hosts do. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks every connection, and refuses new ones until `restore`. */
  cut(): void;
  /**
   * Passes nothing on any more over the connections that are open, and does not close them: as if the host of the
   * server had died. New connections work.
   */
  silence(): void;
  /** Like `silence`, and new connections are accepted but pass nothing either, until `restore`. */
  blackhole(): void;
  /** Lets new connections work again. Silent connections stay silent. */
  restore(): void;
  /** How many connections were opened so far. */
  readonly opened: number;
  stop(): Promise<void>;
}

/** What happens to a new connection. */
type Mode = "pass" | "refuse" | "swallow";

/** Starts a proxy to a port of this machine, on a free port or on `listenPort`. */
export async function startTcpProxy(targetPort: number, listenPort = 0): Promise<TcpProxy> {
  const sockets = new Set<net.Socket>();
  const ofClients = new Set<net.Socket>();
  let mode: Mode = "pass";
  let opened = 0;

  const keep = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const silenced = new WeakSet<net.Socket>();

  const server = net.createServer((client) => {
    if (mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    opened += 1;
    keep(client);
    ofClients.add(client);
    client.on("close", () => ofClients.delete(client));
    if (mode === "swallow") {
      client.pause();
      return;
    }
    const target = net.connect(targetPort, "127.0.0.1");
    keep(target);
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on("data", (data) => {
        if (!silenced.has(client)) to.write(data);
      });
      from.on("close", () => {
        if (!silenced.has(client)) to.destroy();
      });
    }
  });
  await new Promise<void>((listening) => server.listen(listenPort, "127.0.0.1", listening));

  const silence = (): void => {
    for (const client of ofClients) silenced.add(client);
  };
  const breakAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get opened() {
      return opened;
    },
    cut: () => {
      mode = "refuse";
      breakAll();
    },
    silence,
    blackhole: () => {
      mode = "swallow";
      silence();
    },
    restore: () => {
      mode = "pass";
    },
    stop: async () => {
      breakAll();
      await new Promise((closed) => server.close(closed));
    },
  };
}
