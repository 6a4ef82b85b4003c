/** A job that is delivered once. */
export interface PeerJob {
  readonly id: string;
  readonly dueMs: number;
}

/** Where a peer keeps its jobs. */
export interface Stores {
  /** An empty database of PostgreSQL. */
  readonly databaseUrl: string;
  /** A Redis in which it has a database for itself. */
  readonly redis: {
    readonly host: string;
    readonly port: number;
    readonly username: string;
    readonly password: string;
    /** The number of its own database. */
    readonly db: number;
  };
}

/** Delivers a job: resolves when its signed request is answered. */
export type Deliver = (job: PeerJob) => Promise<void>;

/** What the module of a peer exports. */
export interface Adapter {
  /** How many connections its deliveries share. */
  readonly connections: number;
  /** Makes an empty store. */
  reset(stores: Stores): Promise<void>;
  /** Stores jobs, by the peer's way for many at once. */
  load(stores: Stores, jobs: readonly PeerJob[]): Promise<void>;
  /** Starts to work on what is due, and resolves when it does. */
  work(stores: Stores, deliver: Deliver): Promise<void>;
}
