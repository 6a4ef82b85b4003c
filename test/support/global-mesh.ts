import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type Mesh, startMesh } from "./mesh.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A URL that answers with the SharedMesh as JSON. The first request starts the product. */
    easycronMeshUrl: string;
  }
}

/** The product that many test files share. */
export interface SharedMesh {
  /** The URL of the gateway. */
  readonly url: string;
  /** The operator's key, with which each test file makes its project. */
  readonly operatorKey: string;
  /** Connection string of PostgreSQL's superuser. */
  readonly databaseUrl: string;
}

/**
 * Offers one product to all test files. Returns the function that stops it. The product starts when the first file asks
 * for it, because vitest runs the set-up of all its projects before the first test.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let started: Promise<Mesh> | undefined;
  const server = createServer((_, response) => {
    started ??= startMesh({ preparedData: project.getProvidedContext().easycronPostgres.preparedData });
    started.then(
      ({ url, operatorKey, databaseUrl }) =>
        response.end(JSON.stringify({ url, operatorKey, databaseUrl } satisfies SharedMesh)),
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
