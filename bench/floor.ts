import { ask, startProgram } from "./programs.ts";

/** An order to the floor: send `count` requests at each of these instants, which are sorted. */
export interface FloorOrder {
  readonly dueMs: readonly number[];
  readonly count: number;
  /**
   * True: the floor turns round and round before each instant, so that it is never late, and its CPU time means
   * nothing. False: it sleeps, and is up to 1 ms late.
   */
  readonly spins: boolean;
}

/** What the floor used for an order. */
export interface FloorResult {
  readonly cpuMicros: number;
}

/** The physical limit. */
export interface Floor {
  /** Carries an order out. Resolves when all its requests are answered. */
  run(order: FloorOrder): Promise<FloorResult>;
  stop(): void;
}

/** Starts the floor, which sends to a URL, and warms it up with some requests. */
export async function startFloor(url: string, warmUpRequests = 10_000): Promise<Floor> {
  const { program } = await startProgram("floor-program.ts", [url, String(warmUpRequests)]);
  return { run: (order) => ask(program, order), stop: () => program.disconnect() };
}
