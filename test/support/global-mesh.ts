import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { createTestAuthority, type IssuedCertificate } from "./certificate.ts";
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
  /** The certificate, in PEM, of the authority that the product trusts besides the usual ones. */
  readonly authority: string;
  /** Certificates of that authority for 127.0.0.1 and localhost. */
  readonly certificates: { readonly server: IssuedCertificate; readonly client: IssuedCertificate };
  /** Connection string of PostgreSQL's superuser. */
  readonly databaseUrl: string;
}

/**
 * Offers one product to all test files. Returns the function that stops it. The product starts when the first file asks
 * for it, because vitest runs the set-up of all its projects before the first test.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { issue, certificate: authority } = createTestAuthority();
  const certificates = { server: issue(), client: issue() };
  let started: Promise<Mesh> | undefined;
  const server = createServer((_, response) => {
    const { preparedData } = project.getProvidedContext().easycronPostgres;
    started ??= trusting(authority, () => startMesh({ preparedData }));
    started.then(
      ({ url, operatorKey, databaseUrl }) => {
        const shared: SharedMesh = { url, operatorKey, databaseUrl, authority, certificates };
        response.end(JSON.stringify(shared));
      },
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

/** Does the work while processes that it starts trust one authority more. */
async function trusting<T>(authority: string, work: () => Promise<T>): Promise<T> {
  const usual = process.env.NODE_EXTRA_CA_CERTS;
  const folder = await mkdtemp(join(tmpdir(), "easycron-authority-"));
  const file = join(folder, "authorities.pem");
  const others = usual === undefined ? "" : await readFile(usual, "utf8").catch(() => "");
  await writeFile(file, `${others}\n${authority}`);
  process.env.NODE_EXTRA_CA_CERTS = file;
  try {
    return await work();
  } finally {
    if (usual === undefined) delete process.env.NODE_EXTRA_CA_CERTS;
    else process.env.NODE_EXTRA_CA_CERTS = usual;
    await rm(folder, { recursive: true });
  }
}
