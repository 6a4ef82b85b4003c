import { createSecretKey } from "node:crypto";
import type { Queryable } from "../../db/pool.ts";
import { unwrapDataKey } from "../signing-keys/data-keys.ts";
import type { MasterKeys } from "../signing-keys/master-keys.ts";
import { openTargetSecret } from "./seal-secrets.ts";
import { targetSecretById } from "./target-secrets.sql.ts";

/** Which secret: the project that it belongs to, and its id. */
export interface SecretKey {
  readonly projectId: string;
  /** sec_…. */
  readonly id: string;
}

/** A cache of the secrets of targets. A secret with an id never changes, so a cached one is never outdated. */
export interface TargetSecrets {
  /** Returns the secret if it is in the cache. */
  get(key: SecretKey): string | undefined;
  /**
   * Reads the secret. Calls about the same secret at the same time share one statement. Throws SERVICE_UNAVAILABLE, and
   * another error if there is no such secret or it cannot be decrypted.
   */
  load(key: SecretKey): Promise<string>;
}

/** What the cache needs. */
export interface TargetSecretsParts {
  readonly database: Queryable;
  readonly masterKeys: Pick<MasterKeys, "get">;
}

/** Rough size of an entry without the secret. */
const BASE_BYTES = 200;

/** Makes a cache of roughly `maxBytes`. When it is full, the secrets that were read first are removed. */
export function createTargetSecrets(parts: TargetSecretsParts, maxBytes: number): TargetSecrets {
  const known = new Map<string, string>();
  const loading = new Map<string, Promise<string>>();
  let bytes = 0;

  const keep = (name: string, secret: string): void => {
    known.set(name, secret);
    bytes += sizeOf(secret);
    for (const [oldest, old] of known) {
      if (bytes <= maxBytes || known.size === 1) return;
      known.delete(oldest);
      bytes -= sizeOf(old);
    }
  };

  return {
    get: (key) => known.get(nameOf(key)),
    load: (key) => {
      const name = nameOf(key);
      const running = loading.get(name);
      if (running !== undefined) return running;
      const started = read(parts, key).then((secret) => {
        if (!known.has(name)) keep(name, secret);
        return secret;
      });
      const promise = started.finally(() => loading.delete(name));
      loading.set(name, promise);
      return promise;
    },
  };
}

async function read(
  { database, masterKeys }: TargetSecretsParts,
  { projectId, id }: SecretKey,
): Promise<string> {
  const [row] = await database.query(targetSecretById, [projectId, id]);
  if (row === undefined) throw new Error(`The project ${projectId} has no secret ${id}.`);
  const dataKey = createSecretKey(unwrapDataKey(masterKeys, row));
  return openTargetSecret(dataKey, { projectId, id }, row.sealed_secret);
}

function nameOf({ projectId, id }: SecretKey): string {
  return `${projectId}/${id}`;
}

function sizeOf(secret: string): number {
  return BASE_BYTES + secret.length;
}
