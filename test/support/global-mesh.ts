import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type Mesh, startMesh } from "./mesh.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Answers with the SharedMesh as JSON, and starts it when nobody has asked before. */
    easycronMeshUrl: string;
  }
}

/** The running product that several test files use at once. */
export interface SharedMesh {
  /** Of the gateway. */
  readonly url: string;
  /** With which each test file makes a project of its own. */
  readonly operatorKey: string;
}

/**
 * Offers one running product to all test files, and returns what ends it. It starts when the first file asks, because
 * the set-up of every project of vitest runs before the first test.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let started: Promise<Mesh> | undefined;
  const server = createServer((_, response) => {
    started ??= startMesh({ preparedData: project.getProvidedContext().easycronPostgres.preparedData });
    started.then(
      ({ url, operatorKey }) => response.end(JSON.stringify({ url, operatorKey } satisfies SharedMesh)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  project.provide("easycronMeshUrl", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.close();
    server.closeAllConnections();
    const mesh = await started?.catch(() => undefined);
    await mesh?.stop();
  };
}
