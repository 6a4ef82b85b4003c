import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { openOldFormat } from "./sealed.ts";

/** A master key, which seals the data keys of projects. */
export interface MasterKey {
  /** `mk_` and 16 hexadecimal digits. It tells keys apart and says nothing about them. */
  readonly id: string;
  readonly key: KeyObject;
  /** A value that only this key makes. */
  readonly checkValue: Buffer;
}

/** Says that this dispatcher is not configured with a master key. Another dispatcher may be. */
export class MissingMasterKeyError extends Error {
  constructor(id: string) {
    super(`This dispatcher does not have the master key ${id}.`);
    this.name = "MissingMasterKeyError";
  }
}

/** The master keys that a dispatcher is configured with. */
export interface MasterKeys {
  /** The key that seals, or is to seal when every dispatcher has it. */
  readonly wanted: MasterKey;
  /** All keys, `wanted` first. */
  readonly all: readonly MasterKey[];
  /** Returns the key with this id. Throws a MissingMasterKeyError if this dispatcher does not have it. */
  get(id: string): MasterKey;
}

/** Makes the master keys of their 32 random bytes each: EASYCRON_MASTER_KEY, and EASYCRON_PREVIOUS_MASTER_KEY if it is set. */
export function createMasterKeys(bytes: Uint8Array, previousBytes?: Uint8Array): MasterKeys {
  const wanted = createMasterKey(bytes);
  const all = previousBytes === undefined ? [wanted] : [wanted, createMasterKey(previousBytes)];
  return {
    wanted,
    all,
    get: (id) => {
      const found = all.find((masterKey) => masterKey.id === id);
      if (found === undefined) throw new MissingMasterKeyError(id);
      return found;
    },
  };
}

function createMasterKey(bytes: Uint8Array): MasterKey {
  const key = createSecretKey(bytes);
  const macOf = (text: string) => createHmac("sha256", key).update(text).digest();
  return {
    id: `mk_${macOf("EasyCron master key id").toString("hex", 0, 8)}`,
    key,
    checkValue: macOf("EasyCron master key check"),
  };
}

/**
 * Opens the secret of a signing key that an earlier version has sealed with a master key itself, without saying with
 * which. Throws if none of the master keys opens it.
 */
export function openWithAny({ all }: Pick<MasterKeys, "all">, id: string, sealed: Uint8Array): Buffer {
  for (const { key } of all) {
    try {
      return openOldFormat(key, id, sealed);
    } catch {
      // Another master key may have sealed it.
    }
  }
  throw new Error(`No master key of this dispatcher opens the signing key ${id}.`);
}
