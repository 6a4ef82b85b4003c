import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig, type ServiceName } from "../../dev/config.ts";
import { startProduct } from "../../dev/product.ts";

/** The whole product: every service and PostgreSQL as processes of their own, under the supervisor of `npm start`. */
export interface Mesh {
  readonly url: string;
  /** Of the project that the product makes at its start. */
  readonly apiKey: string;
  readonly signingSecret: string;
  readonly project: string;
  readonly operatorKey: string;
  /** The administrator's connection string. */
  readonly databaseUrl: string;
  /** Kills a process with SIGKILL and waits until it has been started again and serves. */
  kill9(service: ServiceName | "postgres", index: number): Promise<void>;
  /** Ends everything and removes its data. */
  stop(): Promise<void>;
}

/** Starts it, without the demo, on a free port and in a temporary folder. */
export async function startMesh(counts: { schedulers: number; dispatchers: number }): Promise<Mesh> {
  const folder = await mkdtemp(join(tmpdir(), "easycron-mesh-"));
  // PostgreSQL runs as a user of its own when this is root, and must be able to enter.
  await chmod(folder, 0o755);
  const config = readConfig({
    PATH: process.env.PATH,
    EASYCRON_DATA_DIR: folder,
    EASYCRON_PORT: "0",
    EASYCRON_DEMO: "off",
    EASYCRON_SCHEDULERS: String(counts.schedulers),
    EASYCRON_DISPATCHERS: String(counts.dispatchers),
  });
  const product = await startProduct({ config, print: () => {} });
  const { url, apiKey, signingSecret, project } = product.manifest();
  const supervised = (service: ServiceName | "postgres", index: number) => {
    const found = service === "postgres" ? product.postgres?.supervised : product.fleet.of(service)[index];
    if (found === undefined) throw new Error(`There is no ${service} ${index}.`);
    return found;
  };
  return {
    url,
    apiKey,
    signingSecret,
    project,
    operatorKey: product.operatorKey,
    databaseUrl: product.databaseUrl,
    kill9: async (service, index) => {
      const one = supervised(service, index);
      const pid = one.pid();
      if (pid === undefined) throw new Error(`${one.name} does not run.`);
      process.kill(pid, "SIGKILL");
      while (one.pid() === pid) await new Promise((turn) => setImmediate(turn));
      await one.untilReady();
    },
    stop: async () => {
      await product.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
