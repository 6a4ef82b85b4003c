import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrokerName } from "../../dev/arguments.ts";
import { readConfig, type ServiceName } from "../../dev/config.ts";
import { ensureJars } from "../../dev/kafka-jars.ts";
import type { Manifest } from "../../dev/manifest.ts";
import { type Product, startProduct } from "../../dev/product.ts";
import type { Supervised } from "../../dev/supervisor.ts";
import { copyFolder } from "./copy-folder.ts";
import { JARS } from "./kafka.ts";
import { endSupervised, killSupervised } from "./postgres.ts";

/** How a mesh is started. */
export interface MeshOptions {
  /** Default 1. */
  readonly schedulers?: number;
  /** Default 1. */
  readonly dispatchers?: number;
  /** A data directory whose copy the product starts on. */
  readonly preparedData: string;
  /** The brokers that run for the plugins, as with `npm start -- --with redis,kafka`. Default: none. */
  readonly brokers?: readonly BrokerName[];
  /** Further variables of `npm start`, such as EASYCRON_SCHEDULER_TICK_MS for the schedulers. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that runs once for each index. */
export type ProcessName = ServiceName | BrokerName | "postgres";

/** The whole product as `npm start` runs it, without the demo, on data of its own. */
export interface Mesh {
  readonly url: string;
  /** Of a project of its own. */
  readonly apiKey: string;
  readonly operatorKey: string;
  /** Of that project, whsec_…. */
  readonly signingSecret: string;
  /** That project's id. */
  readonly project: string;
  /** Connection string of PostgreSQL's superuser. */
  readonly databaseUrl: string;
  /** The variables with which the plugins service manages the brokers. */
  readonly pluginsEnv: Readonly<Record<string, string>>;
  /** The folder of the services' logs: `dispatcher-0.log` and so on. */
  readonly logFolder: string;
  /** What was shown to people so far. */
  readonly output: readonly string[];
  pids(): Manifest["pids"];
  /** Kills a process with -9, as soon as it is ready; resolves when it is gone. It is started again at once. */
  kill9(service: ProcessName, index: number): Promise<void>;
  /** Stops a process by SIGTERM, as soon as it is ready; resolves when it is gone. It is started again at once. */
  terminate(service: ServiceName, index: number): Promise<void>;
  /** Resolves when a process serves, now or again. */
  untilReady(service: ProcessName, index: number): Promise<void>;
  /** Ends everything and removes its data. */
  stop(): Promise<void>;
}

/** Starts PostgreSQL and the services, each as a process of its own, and waits until they serve. */
export async function startMesh({
  schedulers = 1,
  dispatchers = 1,
  brokers = [],
  env = {},
  preparedData,
}: MeshOptions): Promise<Mesh> {
  const dataDir = await mkdtemp(join(tmpdir(), "easycron-mesh-"));
  await copyFolder(preparedData, dataDir);
  if (brokers.includes("kafka")) await shareJars(dataDir);
  const variables = {
    EASYCRON_DATA_DIR: dataDir,
    EASYCRON_PORT: "0",
    EASYCRON_DEMO: "off",
    EASYCRON_SCHEDULERS: String(schedulers),
    EASYCRON_DISPATCHERS: String(dispatchers),
    ...env,
  };
  const config = readConfig(variables, brokers.length === 0 ? [] : ["--with", brokers.join(",")]);
  const output: string[] = [];
  const remove = () => rm(dataDir, { recursive: true });
  const product = await startProduct({ config, print: (line) => output.push(line), durable: false }).catch(
    async (error: unknown) => {
      await remove();
      throw error;
    },
  );
  const find = (name: ProcessName, index: number): Supervised => {
    const found = processesOf(product, name)[index];
    if (found === undefined) throw new Error(`There is no ${name}-${index}.`);
    return found;
  };
  const { url, apiKey, signingSecret, project } = product.manifest();
  return {
    url,
    apiKey,
    operatorKey: product.operatorKey,
    signingSecret,
    project,
    databaseUrl: product.databaseUrl,
    pluginsEnv: Object.assign({}, ...product.brokers.map((broker) => broker.pluginsEnv)),
    logFolder: join(dataDir, "log"),
    output,
    pids: () => product.manifest().pids,
    kill9: (service, index) => killSupervised(find(service, index)),
    terminate: (service, index) => endSupervised(find(service, index), "SIGTERM"),
    untilReady: (service, index) => find(service, index).untilReady(),
    stop: async () => {
      await product.stop();
      await remove();
    },
  };
}

function processesOf({ postgres, brokers, fleet }: Product, name: ProcessName) {
  if (name === "postgres") return [postgres?.supervised];
  if (name !== "redis" && name !== "kafka") return fleet.of(name);
  return brokers.filter((broker) => broker.name === name).map(({ supervised }) => supervised);
}

// Otherwise each product would fetch Kafka's jars.
async function shareJars(dataDir: string): Promise<void> {
  await ensureJars(JARS);
  await symlink(JARS, join(dataDir, "kafka-jars"));
}
