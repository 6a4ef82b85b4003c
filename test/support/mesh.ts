import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig, type ServiceName } from "../../dev/config.ts";
import type { Manifest } from "../../dev/manifest.ts";
import { startProduct } from "../../dev/product.ts";
import type { Supervised } from "../../dev/supervisor.ts";
import { copyFolder } from "./copy-folder.ts";
import { endSupervised, killSupervised } from "./postgres.ts";

/** How a mesh is started. */
export interface MeshOptions {
  /** Default 1. */
  readonly schedulers?: number;
  /** Default 1. */
  readonly dispatchers?: number;
  /** A data directory whose copy the product starts on. */
  readonly preparedData: string;
  /** Further variables of `npm start`, such as EASYCRON_SCHEDULER_TICK_MS for the schedulers. */
  readonly env?: Readonly<Record<string, string>>;
}

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
  /** What was shown to people so far. */
  readonly output: readonly string[];
  pids(): Manifest["pids"];
  /** Kills a process with -9, as soon as it is ready; resolves when it is gone. It is started again at once. */
  kill9(service: ServiceName | "postgres", index: number): Promise<void>;
  /** Stops a process by SIGTERM, as soon as it is ready; resolves when it is gone. It is started again at once. */
  terminate(service: ServiceName, index: number): Promise<void>;
  /** Resolves when a process serves, now or again. */
  untilReady(service: ServiceName | "postgres", index: number): Promise<void>;
  /** Ends everything and removes its data. */
  stop(): Promise<void>;
}

/** Starts PostgreSQL and the services, each as a process of its own, and waits until they serve. */
export async function startMesh({
  schedulers = 1,
  dispatchers = 1,
  env = {},
  preparedData,
}: MeshOptions): Promise<Mesh> {
  const dataDir = await mkdtemp(join(tmpdir(), "easycron-mesh-"));
  await copyFolder(preparedData, dataDir);
  const config = readConfig({
    EASYCRON_DATA_DIR: dataDir,
    EASYCRON_PORT: "0",
    EASYCRON_DEMO: "off",
    EASYCRON_SCHEDULERS: String(schedulers),
    EASYCRON_DISPATCHERS: String(dispatchers),
    ...env,
  });
  const output: string[] = [];
  const remove = () => rm(dataDir, { recursive: true });
  const product = await startProduct({ config, print: (line) => output.push(line), durable: false }).catch(
    async (error: unknown) => {
      await remove();
      throw error;
    },
  );
  const find = (service: ServiceName | "postgres", index: number): Supervised => {
    const all = service === "postgres" ? [product.postgres?.supervised] : product.fleet.of(service);
    const found = all[index];
    if (found === undefined) throw new Error(`There is no ${service}-${index}.`);
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
