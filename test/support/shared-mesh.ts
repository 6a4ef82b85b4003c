import { inject } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import type { SharedMesh } from "./global-mesh.ts";

/** A project of a test file's own in the product that all such files share. Projects cannot see each other. */
export interface SharedProject {
  /** Of the gateway. */
  readonly url: string;
  /** The project's. */
  readonly apiKey: string;
  readonly operatorKey: string;
  /** The project's, whsec_…. */
  readonly signingSecret: string;
  /** The project's id. */
  readonly project: string;
  /** Deletes its jobs, so that they do not take the other files' time. */
  stop(): Promise<void>;
}

/** Starts the shared product unless it runs, and makes a project in it. */
export async function joinMesh(): Promise<SharedProject> {
  const response = await fetch(inject("easycronMeshUrl"));
  if (!response.ok) throw new Error(`The shared product could not be started: ${await response.text()}`);
  const { url, operatorKey } = (await response.json()) as SharedMesh;
  const { apiKey, signingSecret, project } = await ensureProject(url, operatorKey);
  return { url, operatorKey, apiKey, signingSecret, project, stop: () => deleteJobs(url, apiKey) };
}

async function deleteJobs(url: string, apiKey: string): Promise<void> {
  const client = new EasyCron({ url, apiKey });
  for (;;) {
    const { jobs } = await client.jobs.listJobs({ pageSize: 50 });
    if (jobs.length === 0) return;
    await Promise.all(jobs.map(({ name }) => client.jobs.deleteJob({ name })));
  }
}
