import { timingSafeEqual } from "node:crypto";
import type { Queryable } from "../../db/pool.ts";
import { ConfigError } from "../../mesh/config.ts";
import type { Logger } from "../../mesh/logger.ts";
import { dataKeysByMasterKey } from "./data-keys.sql.ts";
import { masterKeyInsertIfNone, masterKeyRead, signingKeysOldestOfOldFormat } from "./master-key.sql.ts";
import { type MasterKeys, openWithAny } from "./master-keys.ts";

/** How many signing keys are tried when no master key is recorded yet. */
const TRIED_KEYS = 100;
const REMEDY =
  "Give the dispatcher the master key of this database (`npm start` keeps it in keys.json); without it, the signing " +
  "keys cannot be used.";

/** What the check of the master keys needs. */
export interface MasterKeyCheckParts {
  readonly database: Queryable;
  readonly masterKeys: MasterKeys;
  readonly logger: Pick<Logger, "warn">;
}

/**
 * Checks that the master keys open everything in this database. The first dispatcher of a database records its key: the
 * id, and a check value that only this key makes. The recorded key, and every key that still seals a data key, must be
 * EASYCRON_MASTER_KEY or EASYCRON_PREVIOUS_MASTER_KEY. In a database that has signing keys of an earlier version and no
 * such record yet, a key must decrypt at least one of the oldest 100; those that no key decrypts are logged.
 *
 * Throws a ConfigError that names the id of the key that is wanted, and SERVICE_UNAVAILABLE.
 */
export async function checkMasterKeys(parts: MasterKeyCheckParts): Promise<void> {
  const { database, masterKeys } = parts;
  const { wanted } = masterKeys;
  const [known] = await database.query(masterKeyRead);
  if (known === undefined) {
    await checkAgainstSigningKeys(parts);
    await database.query(masterKeyInsertIfNone, [wanted.id, wanted.checkValue]);
  }
  await checkRecordedMasterKey(parts);
  const ids = masterKeys.all.map(({ id }) => id);
  const others = (await database.query(dataKeysByMasterKey)).filter(
    ({ master_key_id }) => !ids.includes(master_key_id),
  );
  const [other] = others;
  if (other === undefined) return;
  throw new ConfigError([
    `The master key ${other.master_key_id} still seals the signing keys of ${other.count} projects. Set ` +
      "EASYCRON_PREVIOUS_MASTER_KEY to it until a dispatcher has logged that it is no longer needed.",
  ]);
}

/**
 * Checks that this dispatcher has the recorded master key. To be called again when its lease is taken: from then on the
 * recorded key changes only to one that this dispatcher has. Throws like `checkMasterKeys`.
 */
export async function checkRecordedMasterKey({
  database,
  masterKeys,
}: Pick<MasterKeyCheckParts, "database" | "masterKeys">): Promise<void> {
  const { wanted, all } = masterKeys;
  const [recorded] = await database.query(masterKeyRead);
  const own = all.find(({ id }) => id === recorded?.key_id);
  if (own !== undefined && recorded !== undefined && isEqual(recorded.check_value, own.checkValue)) return;
  throw new ConfigError([
    `EASYCRON_MASTER_KEY is the key ${wanted.id}, and the signing keys of this database are sealed with the key ` +
      `${recorded?.key_id}. ${REMEDY}`,
  ]);
}

async function checkAgainstSigningKeys({ database, masterKeys, logger }: MasterKeyCheckParts): Promise<void> {
  const masterKeyId = masterKeys.wanted.id;
  const keys = await database.query(signingKeysOldestOfOldFormat, [TRIED_KEYS]);
  const closed = keys.filter(({ id, sealed_secret }) => !canOpen(masterKeys, id, sealed_secret));
  if (closed.length === 0) return;
  if (closed.length === keys.length) {
    throw new ConfigError([
      `EASYCRON_MASTER_KEY is the key ${masterKeyId}, and the signing keys of this database are sealed with another ` +
        `one: it decrypts none of them (such as ${closed[0]?.id}). ${REMEDY}`,
    ]);
  }
  logger.warn(
    { masterKeyId, signingKeys: closed.map(({ id }) => id) },
    "the master key does not decrypt some signing keys; their projects' webhooks are not sent",
  );
}

function canOpen(masterKeys: MasterKeys, id: string, sealed: Buffer): boolean {
  try {
    openWithAny(masterKeys, id, sealed);
    return true;
  } catch {
    return false;
  }
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
