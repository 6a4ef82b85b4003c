import { createPool, type Pool } from "../../db/pool.ts";
import type { ProvisionRequest } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcClient } from "../../mesh/grpc-client.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import type { Logger } from "../../mesh/logger.ts";
import { createDatabase, type TestDatabase } from "../../test/support/database.ts";
import type { PluginParts } from "../plugins/parts.ts";

/** What the stub of plugin delivery has for one project and kind. */
export interface Space {
  /** The user names, each with whether its password is known. */
  readonly users: readonly string[];
  readonly request: ProvisionRequest;
}

/** A line that was logged. */
export interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** The work on plugins with a real database, and a stub of plugin delivery that speaks real gRPC. */
export interface PluginsBench {
  readonly parts: PluginParts;
  readonly pool: Pool;
  readonly database: TestDatabase;
  readonly logged: readonly Line[];
  /** By "<kind> <project>". */
  readonly spaces: Map<string, Space>;
  readonly removed: string[];
  /** What each project uses. */
  readonly usage: Map<string, { bytes: bigint; keys: bigint }>;
  /** The jobs that have a plugin as target. */
  readonly jobs: { name: string; isPaused: boolean }[];
  /** What each call of a kind does before it is answered; a test may throw there, or wait. */
  readonly before: Partial<Record<"REDIS" | "KAFKA", (method: string, projectId: string) => Promise<void>>>;
  /** Which run of the managed Redis this is; empty if that is not known. */
  redisRun: string;
  /** What Kafka waits for before it is described. */
  kafkaAnswers: Promise<void>;
  /** Epoch milliseconds; null is PostgreSQL's time. */
  nowMs: number | null;
  /** Makes everything as it was at first. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_LIMITS = { maxBytes: 1_000n, maxKeys: 100n };
const KAFKA_LIMITS = {
  maxTopics: 10,
  maxPartitions: 6,
  produceBytesPerSecond: 1_000n,
  consumeBytesPerSecond: 1_000n,
  maxPartitionBytes: 1_000n,
  maxRetention: { seconds: 3_600n },
};

/** Starts the stub and creates the database with the projects proj_a and proj_b. */
export async function startPluginsBench(): Promise<PluginsBench> {
  const database = await createDatabase();
  const pool = createPool({ connectionString: database.url("gateway"), max: 8, applicationName: "test" });
  const logged: Line[] = [];
  const log = (level: string) => (fields: object, message: string) => {
    logged.push({ level, fields: { ...fields }, message });
  };
  const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
  const server = createGrpcServer({ logger });
  const spaces = new Map<string, Space>();
  const removed: string[] = [];
  const usage: PluginsBench["usage"] = new Map();
  const jobs: PluginsBench["jobs"] = [];
  const before: PluginsBench["before"] = {};
  const meet = async (kind: PluginKind, method: string, projectId: string) => {
    await before[kind === PluginKind.KAFKA ? "KAFKA" : "REDIS"]?.(method, projectId);
    return `${kind === PluginKind.KAFKA ? "KAFKA" : "REDIS"} ${projectId}`;
  };
  server.add(PluginsService, {
    deliver: async () => {
      throw failure("METHOD_UNIMPLEMENTED", { method: "Deliver" });
    },
    describePlugins: async ({ kind }) => {
      const isAsked = (each: PluginKind) => kind === PluginKind.UNSPECIFIED || kind === each;
      if (isAsked(PluginKind.KAFKA)) await bench.kafkaAnswers;
      const offers = [
        {
          kind: PluginKind.REDIS,
          endpoint: "redis.test:6379",
          defaultLimits: DEFAULT_LIMITS,
          maxLimits: { maxBytes: 2_000n, maxKeys: 200n },
          runId: bench.redisRun,
        },
        {
          kind: PluginKind.KAFKA,
          endpoint: "kafka.test:9092",
          defaultLimits: KAFKA_LIMITS,
          maxLimits: { ...KAFKA_LIMITS, maxTopics: 20 },
        },
      ];
      return { offers: offers.filter((each) => isAsked(each.kind)) };
    },
    provision: async (request) => {
      const { kind, projectId, credentials } = request;
      const key = await meet(kind, "provision", projectId);
      const had = spaces.get(key)?.users ?? [];
      const known = (each: (typeof credentials)[number]) =>
        kind === PluginKind.REDIS || each.scram !== undefined || had.includes(each.username);
      const users = credentials.filter(known).map(({ username }) => username);
      spaces.set(key, { users, request });
      const missingUsernames = credentials.filter((each) => !known(each)).map(({ username }) => username);
      return { missingUsernames };
    },
    remove: async ({ kind, projectId }) => {
      const key = await meet(kind, "remove", projectId);
      spaces.delete(key);
      removed.push(key);
      return {};
    },
    measureUsage: async ({ kind, projectIds }) => {
      await meet(kind, "measure", projectIds.join());
      return { usages: projectIds.map((projectId) => ({ projectId, usage: usage.get(projectId) ?? {} })) };
    },
  });
  const port = await server.listen("127.0.0.1:0");
  const delivery = createGrpcClient(PluginsService, { addresses: [`127.0.0.1:${port}`], deadlineMs: 5_000 });
  for (const id of ["proj_a", "proj_b"]) await pool.query({ name: `insert ${id}`, text: projectSql }, [id]);
  const bench: PluginsBench = {
    parts: {
      database: pool,
      delivery,
      scheduler: stubScheduler(jobs),
      logger,
      now: () => bench.nowMs,
      onStep: () => {},
    },
    pool,
    database,
    logged,
    spaces,
    removed,
    usage,
    jobs,
    before,
    redisRun: "",
    kafkaAnswers: Promise.resolve(),
    nowMs: null,
    reset: async () => {
      for (const each of [spaces, usage]) each.clear();
      for (const each of [logged, removed, jobs]) each.length = 0;
      for (const kind of ["REDIS", "KAFKA"] as const) delete before[kind];
      bench.nowMs = null;
      bench.redisRun = "";
      bench.kafkaAnswers = Promise.resolve();
      await pool.query({ name: "clearCredentials", text: "delete from gateway.plugin_credentials" });
      await pool.query({ name: "clearPlugins", text: "delete from gateway.plugins" });
    },
    close: async () => {
      delivery.close();
      await server.close(0);
      await pool.close();
      await database.drop();
    },
  };
  return bench;
}

const projectSql = "insert into gateway.projects (id, display_name, create_time) values ($1, '', now())";

function stubScheduler(jobs: PluginsBench["jobs"]): PluginParts["scheduler"] {
  return {
    listJobs: async () => ({ response: { jobs: jobs.map(({ name }) => ({ name })), nextPageToken: "" } }),
    batchPauseJobs: async () => {
      const paused = jobs.filter(({ isPaused }) => !isPaused);
      for (const job of paused) job.isPaused = true;
      return { response: { jobs: paused.map(({ name }) => ({ name })), undoToken: "", more: false } };
    },
  } as unknown as PluginParts["scheduler"];
}
