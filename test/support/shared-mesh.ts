import { inject } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import type { SharedMesh } from "./global-mesh.ts";

/** A project that one test file has for itself, in the product that many test files share. */
export interface SharedProject extends Pick<SharedMesh, "authority" | "certificates"> {
  /** The URL of the gateway. */
  readonly url: string;
  /** The project's API key. */
  readonly apiKey: string;
  readonly operatorKey: string;
  /** Connection string of PostgreSQL's superuser. */
  readonly databaseUrl: string;
  /** The project's signing secret, whsec_…. */
  readonly signingSecret: string;
  /** The project's id. */
  readonly project: string;
  /** Deletes the project's jobs, so that they do not slow down the other test files. */
  stop(): Promise<void>;
}

/** Makes a project in the shared product, and starts the product if it does not run yet. */
export async function joinMesh(): Promise<SharedProject> {
  const response = await fetch(inject("easycronMeshUrl"));
  if (!response.ok) throw new Error(`The shared product could not be started: ${await response.text()}`);
  const { url, operatorKey, ...shared } = (await response.json()) as SharedMesh;
  const { apiKey, signingSecret, project } = await ensureProject(url, operatorKey);
  const stop = () => deleteJobs(url, apiKey);
  return { url, operatorKey, ...shared, apiKey, signingSecret, project, stop };
}

async function deleteJobs(url: string, apiKey: string): Promise<void> {
  const client = new EasyCron({ url, apiKey });
  const jobs = await client.jobs.list({ pageSize: 50 }).toArray();
  await Promise.all(jobs.map(({ name }) => client.jobs.delete(name)));
}
