import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Process ids by name, as dev.json has them. */
export type Pids = Readonly<Record<string, readonly number[]>>;

/** How many open connections a process has to another one; by its name, then by that of the other. */
export type Connections = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The name of whatever listens in none of the processes. */
export const ELSEWHERE = "elsewhere";

/** Whether this system tells which sockets a process has. */
export const hasSockets = process.platform === "linux";

/**
 * Reads the TCP connections that each process has opened, from the sockets in /proc/<pid>/fd and from /proc/net. A
 * connection that another process has opened to it does not count. Only on Linux (see `hasSockets`).
 */
export function readConnections(pids: Pids): Connections {
  const all = readTable();
  const sockets = new Map(
    Object.entries(pids).map(([name, list]) => [
      name,
      list.flatMap(inodesOf).flatMap((id) => all.get(id) ?? []),
    ]),
  );
  const listeners = new Map<number, string>();
  for (const [name, own] of sockets) {
    for (const { state, localPort } of own) if (state === LISTEN) listeners.set(localPort, name);
  }
  return new Map([...sockets].map(([name, own]) => [name, countByPeer(own, listeners)]));
}

interface Socket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: string;
}

// Source: include/net/tcp_states.h of Linux.
const ESTABLISHED = "01";
const LISTEN = "0A";

function countByPeer(
  sockets: readonly Socket[],
  listeners: ReadonlyMap<number, string>,
): Map<string, number> {
  const own = new Set(sockets.filter(({ state }) => state === LISTEN).map(({ localPort }) => localPort));
  const counts = new Map<string, number>();
  for (const { state, localPort, remotePort } of sockets) {
    if (state !== ESTABLISHED || own.has(localPort)) continue;
    const peer = listeners.get(remotePort) ?? ELSEWHERE;
    counts.set(peer, (counts.get(peer) ?? 0) + 1);
  }
  return counts;
}

/** Reads all TCP sockets of the machine, by their inodes. */
function readTable(): Map<string, Socket> {
  const sockets = new Map<string, Socket>();
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readFileSync(file, "latin1").split("\n").slice(1)) {
      const [, local, remote, state = "", , , , , , inode] = line.trim().split(/\s+/);
      if (inode !== undefined)
        sockets.set(inode, { localPort: portOf(local), remotePort: portOf(remote), state });
    }
  }
  return sockets;
}

function portOf(address = ""): number {
  return Number.parseInt(address.slice(address.lastIndexOf(":") + 1), 16);
}

function inodesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1] ?? [];
    } catch {
      // Closed since the folder was read.
      return [];
    }
  });
}
