/** A peer. */
export interface Peer {
  readonly name: string;
  leadMs(count: number): number;
  start(order: PeerOrder): Promise<RunningPeer>;
}
export interface PeerOrder {
  readonly fromMs: number;
  readonly spreadMs: number;
  readonly count: number;
}
export interface RunningPeer {
  cpuMicros(): number;
  stop(): Promise<void>;
}
export async function startPeers(_url: string): Promise<{ all: readonly Peer[]; stop: () => Promise<void> }> {
  return { all: [], stop: async () => {} };
}
