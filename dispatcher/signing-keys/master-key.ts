import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import type { Queryable } from "../../db/pool.ts";
import { ConfigError } from "../../mesh/config.ts";
import type { Logger } from "../../mesh/logger.ts";
import { masterKeyInsertIfNone, masterKeyRead, signingKeysOldest } from "./master-key.sql.ts";
import { openSecret } from "./sealed-secret.ts";

/** How many signing keys are tried when no master key is recorded yet. */
const TRIED_KEYS = 100;
const REMEDY =
  "Give the dispatcher the master key of this database (`npm start` keeps it in keys.json); without it, the signing " +
  "keys cannot be used.";

/** Returns the id of a master key, `mk_` and 16 hexadecimal digits. It tells keys apart and says nothing about them. */
export function masterKeyIdOf(masterKey: KeyObject): string {
  return `mk_${macOf(masterKey, "EasyCron master key id").toString("hex", 0, 8)}`;
}

/**
 * Checks that the master key is the one that seals the signing keys of this database, and returns its id. The first
 * dispatcher of a database records its key: the id, and a check value that only this key makes. In a database that has
 * signing keys and no such record yet, the key must decrypt at least one of the oldest 100; those that it does not
 * decrypt are logged.
 *
 * Throws a ConfigError that names the id of the key that is wanted, and SERVICE_UNAVAILABLE.
 */
export async function checkMasterKey(parts: {
  readonly database: Queryable;
  readonly masterKey: KeyObject;
  readonly logger: Pick<Logger, "warn">;
}): Promise<string> {
  const { database, masterKey } = parts;
  const id = masterKeyIdOf(masterKey);
  const checkValue = macOf(masterKey, "EasyCron master key check");
  const [known] = await database.query(masterKeyRead);
  if (known === undefined) {
    await checkAgainstSigningKeys(parts, id);
    await database.query(masterKeyInsertIfNone, [id, checkValue]);
  }
  // Another dispatcher may have recorded its key first.
  const [recorded] = known === undefined ? await database.query(masterKeyRead) : [known];
  if (recorded !== undefined && isEqual(recorded.check_value, checkValue)) return id;
  throw new ConfigError([
    `EASYCRON_MASTER_KEY is the key ${id}, and the signing keys of this database are sealed with the key ` +
      `${recorded?.key_id}. ${REMEDY}`,
  ]);
}

async function checkAgainstSigningKeys(
  { database, masterKey, logger }: Parameters<typeof checkMasterKey>[0],
  masterKeyId: string,
): Promise<void> {
  const keys = await database.query(signingKeysOldest, [TRIED_KEYS]);
  const closed = keys.filter(({ id, sealed_secret }) => !canOpen(masterKey, id, sealed_secret));
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

function canOpen(masterKey: KeyObject, id: string, sealed: Buffer): boolean {
  try {
    openSecret(masterKey, id, sealed);
    return true;
  } catch {
    return false;
  }
}

function macOf(masterKey: KeyObject, text: string): Buffer {
  return createHmac("sha256", masterKey).update(text).digest();
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
