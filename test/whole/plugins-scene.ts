import { inject } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import type { PluginCredentials } from "../../sdk/resources.ts";
import { whyNoTestKafka } from "../support/kafka.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { hasRedis } from "../support/redis.ts";

/** A project in the product, with its client and its signing secret. */
export interface Tenant {
  readonly project: string;
  readonly client: EasyCron;
  readonly secret: string;
}

/** What a project needs to use one of its plugins. */
export interface Access {
  readonly credentials: PluginCredentials;
  readonly prefix: string;
}

/**
 * Tells whether tests can run the product with both brokers here. If not, it writes one line that says why and how to
 * enable those tests.
 */
export function hasBothBrokers(): boolean {
  const problem = whyNoTestKafka();
  if (problem !== undefined)
    process.stderr.write(`Tests of the plugins on the whole product are skipped. ${problem}\n`);
  return hasRedis() && problem === undefined;
}

/** Starts the product as `npm start -- --with redis,kafka` does. */
export function startWithBrokers(): Promise<Mesh> {
  const { preparedData } = inject("easycronPostgres");
  return startMesh({ preparedData, brokers: ["redis", "kafka"] });
}

/** Makes a project in the product. */
export async function addTenant({ url, operatorKey }: Pick<Mesh, "url" | "operatorKey">): Promise<Tenant> {
  const { project, apiKey, signingSecret } = await ensureProject(url, operatorKey);
  return { project, secret: signingSecret, client: new EasyCron({ url, apiKey, timeoutMs: 30_000 }) };
}

/** Enables a plugin of a project. Throws if it was enabled before. */
export async function enable({ client }: Tenant, kind: "REDIS" | "KAFKA"): Promise<Access> {
  const { plugin, credentials } = await client.plugins.enable(kind);
  if (credentials === undefined) throw new Error(`The plugin ${kind} was enabled before.`);
  return { credentials, prefix: plugin.prefix };
}
