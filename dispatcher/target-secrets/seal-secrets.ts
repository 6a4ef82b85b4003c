import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from "node:crypto";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { readDataKey, readOrMakeDataKey } from "../signing-keys/data-keys.ts";
import type { MasterKeys } from "../signing-keys/master-keys.ts";
import { open, seal } from "../signing-keys/sealed.ts";
import { targetSecretsCount, targetSecretsInsert } from "./target-secrets.sql.ts";

/** Most secrets of one call. */
export const MAX_SECRETS = 2_000;
/** Longest secret, in bytes of UTF-8. */
export const MAX_SECRET_BYTES = 16_384;

/**
 * Most secrets that a project has stored. They are kept as long as revisions, so they only become more
 * (docs/operations.md, The master key). Calls at the same time may go beyond it by what each of them adds.
 */
export const MAX_STORED_SECRETS = 1_000_000;

/** What sealing secrets needs. */
export interface SealParts {
  readonly database: Database;
  readonly masterKeys: MasterKeys;
  readonly clock: Clock;
}

/** The secrets of one call. */
export interface SecretsToSeal {
  readonly secrets: readonly string[];
  /** Computes the ids and stores nothing. If the project has no data key yet, the ids fit no later call. */
  readonly validateOnly: boolean;
}

/**
 * Stores secrets of a project, sealed with its data key, and returns their ids in the given order. The id is a keyed hash
 * of the secret. So a call that is repeated has the same ids, and a specification with the same secret does not change.
 * Throws FIELD_INVALID if there are more than MAX_SECRETS, if one is longer than MAX_SECRET_BYTES, or if the project would
 * have stored more than `maxStored`; and SERVICE_UNAVAILABLE.
 */
export async function sealSecrets(
  { database, masterKeys, clock }: SealParts,
  projectId: string,
  { secrets, validateOnly }: SecretsToSeal,
  maxStored = MAX_STORED_SECRETS,
): Promise<string[]> {
  refuseTooLarge(secrets);
  const dataKey = validateOnly
    ? ((await readDataKey(database, masterKeys, projectId)) ?? createSecretKey(randomBytes(32)))
    : await readOrMakeDataKey(database, masterKeys, projectId);
  const toId = createIds(dataKey, projectId);
  const ids = secrets.map(toId);
  if (validateOnly) return ids;
  await refuseTooMany(database, projectId, { ids, maxStored });
  const byId = new Map(ids.map((id, index) => [id, secrets[index] ?? ""]));
  const sealed = [...byId].map(([id, secret]) =>
    seal(dataKey, contextOf(projectId, id), Buffer.from(secret)).toString("hex"),
  );
  await database.query(targetSecretsInsert, [projectId, [...byId.keys()], sealed, toSqlTime(clock.now())]);
  return ids;
}

/** Opens what `sealSecrets` has stored. Throws if the data key, the project, the id or any bit of `sealed` differs. */
export function openTargetSecret(
  dataKey: KeyObject,
  { projectId, id }: { readonly projectId: string; readonly id: string },
  sealed: Uint8Array,
): string {
  return open(dataKey, contextOf(projectId, id), sealed).toString();
}

/** Returns the function from a secret to its id. Its key is not the one that encrypts, but is derived from it. */
function createIds(dataKey: KeyObject, projectId: string): (secret: string) => string {
  const key = Buffer.from(hkdfSync("sha256", dataKey, "", `EasyCron target secret ids\n${projectId}`, 32));
  return (secret) => `sec_${createHmac("sha256", key).update(secret).digest("hex").slice(0, 40)}`;
}

function contextOf(projectId: string, id: string): string {
  return `EasyCron target secret\n${projectId}\n${id}`;
}

async function refuseTooMany(
  database: Database,
  projectId: string,
  { ids, maxStored }: { readonly ids: readonly string[]; readonly maxStored: number },
): Promise<void> {
  const [count] = await database.query(targetSecretsCount, [projectId, [...new Set(ids)]]);
  const { added, stored } = count ?? { added: 0, stored: 0 };
  if (added === 0 || stored + added <= maxStored) return;
  const problem = `${added} of the secrets are new, and the project has stored ${stored} of the ${maxStored} that it may have; give secrets that it has used before, or ask the operator to delete old ones.`;
  throw fieldFailure("FIELD_INVALID", "secrets", problem);
}

function refuseTooLarge(secrets: readonly string[]): void {
  if (secrets.length > MAX_SECRETS) {
    const problem = `It has ${secrets.length} secrets; send at most ${MAX_SECRETS}.`;
    throw fieldFailure("FIELD_INVALID", "secrets", problem);
  }
  const index = secrets.findIndex((secret) => Buffer.byteLength(secret) > MAX_SECRET_BYTES);
  if (index >= 0) {
    const problem = `It is longer than ${MAX_SECRET_BYTES} bytes; use a shorter secret.`;
    throw fieldFailure("FIELD_INVALID", `secrets[${index}]`, problem);
  }
}
