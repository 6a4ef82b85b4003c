import { createSecretKey, type KeyObject } from "node:crypto";
import { unwrapDataKey } from "./data-keys.ts";
import { type MasterKeys, openWithAny } from "./master-keys.ts";
import { isOldFormat } from "./sealed.ts";
import type { LiveKeyRow } from "./signing-keys.sql.ts";
import { openSecret, toSigner } from "./signing-secret.ts";

/** A key that signs. */
export interface Signer {
  /** Of type `secret` for HMAC, and `private` for ed25519. */
  readonly key: KeyObject;
  /** From when on it does not sign, in epoch milliseconds; Infinity if it has no end. */
  readonly expireMs: number;
}

/**
 * Opens the keys of one project. Returns those of HMAC, then those of ed25519, each in the order of `rows`. Throws if
 * one cannot be opened.
 */
export function openSigners(
  masterKeys: MasterKeys,
  projectId: string,
  rows: readonly LiveKeyRow[],
): readonly Signer[] {
  let dataKey: KeyObject | undefined;
  const openDataKey = ({ master_key_id, wrapped_key }: LiveKeyRow): KeyObject => {
    if (master_key_id === null || wrapped_key === null) throw new Error(`${projectId} has no data key.`);
    return createSecretKey(unwrapDataKey(masterKeys, { project_id: projectId, master_key_id, wrapped_key }));
  };
  const signers = rows.flatMap((row): Signer[] => {
    const { id, algorithm, sealed_secret, expire_time } = row;
    if (id === null || algorithm === null || sealed_secret === null) return [];
    const expireMs = expire_time ?? Number.POSITIVE_INFINITY;
    if (isOldFormat(sealed_secret)) {
      return [{ key: toSigner(algorithm, openWithAny(masterKeys, id, sealed_secret)), expireMs }];
    }
    dataKey ??= openDataKey(row);
    const bytes = openSecret(dataKey, { projectId, id, algorithm }, sealed_secret);
    return [{ key: toSigner(algorithm, bytes), expireMs }];
  });
  const isHmac = ({ key }: Signer): boolean => key.type === "secret";
  return [...signers.filter(isHmac), ...signers.filter((signer) => !isHmac(signer))];
}
