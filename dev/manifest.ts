import { rmSync } from "node:fs";
import type { BrokerName } from "./arguments.ts";
import type { ServiceName } from "./config.ts";
import { writePrivateFile } from "./data-directory.ts";

/** The content of dev.json: how to call the API, and which processes run. */
export interface Manifest {
  /** The gateway's URL. */
  readonly url: string;
  /** The demo project's API key. */
  readonly apiKey: string;
  /** The secret that signs the demo project's webhooks. */
  readonly signingSecret: string;
  /** The demo project's id. */
  readonly project: string;
  /** Process ids by service, of `postgres` when the embedded PostgreSQL runs, and of the brokers that run. */
  readonly pids: Readonly<Partial<Record<ServiceName | "postgres" | BrokerName, readonly number[]>>>;
}

/** Writes dev.json atomically: a concurrent reader sees the old content or the new content. */
export function writeManifest(path: string, manifest: Manifest): void {
  writePrivateFile(path, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Removes dev.json if it exists. */
export function removeManifest(path: string): void {
  rmSync(path, { force: true });
}
