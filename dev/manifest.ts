import { rmSync } from "node:fs";
import type { ServiceName } from "./config.ts";
import { writePrivateFile } from "./data-directory.ts";

/** What dev.json tells: how to call the API, and which processes there are. */
export interface Manifest {
  /** The gateway's URL. */
  readonly url: string;
  /** The demo project's API key. */
  readonly apiKey: string;
  /** The secret of the demo project's webhooks. */
  readonly signingSecret: string;
  /** The demo project's id. */
  readonly project: string;
  /** Process ids by service; `postgres` too when it is the embedded one. */
  readonly pids: Readonly<Partial<Record<ServiceName | "postgres", readonly number[]>>>;
}

/** Writes dev.json; whoever reads it meanwhile sees the old one or the new one. */
export function writeManifest(path: string, manifest: Manifest): void {
  writePrivateFile(path, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Removes dev.json, if there is one. */
export function removeManifest(path: string): void {
  rmSync(path, { force: true });
}
