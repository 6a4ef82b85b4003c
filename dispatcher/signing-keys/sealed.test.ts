import { createSecretKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { oldFormatOf } from "../testing/old-format.ts";
import { unwrapDataKey, wrapDataKey } from "./data-keys.ts";
import { createMasterKeys, openWithAny } from "./master-keys.ts";
import { isOldFormat } from "./sealed.ts";
import { openSecret, sealSecret } from "./signing-secret.ts";

const dataKey = createSecretKey(Buffer.alloc(32, 1));
const otherKey = createSecretKey(Buffer.alloc(32, 2));
const owner = { projectId: "proj_1", id: "sk_1", algorithm: "HMAC_SHA256" } as const;
const secret = Buffer.from("a secret of 32 bytes, in letters");

describe("a sealed secret", () => {
  const sealed = sealSecret(dataKey, owner, secret);

  test("can be opened with its data key and for its owner, and is another one each time", () => {
    expect(openSecret(dataKey, owner, sealed)).toEqual(secret);
    expect(sealSecret(dataKey, owner, secret)).not.toEqual(sealed);
    expect(sealed.includes(secret)).toBe(false);
  });

  test("cannot be opened with another data key, or for another project, key or algorithm", () => {
    expect(() => openSecret(otherKey, owner, sealed)).toThrow();
    expect(() => openSecret(dataKey, { ...owner, projectId: "proj_2" }, sealed)).toThrow();
    expect(() => openSecret(dataKey, { ...owner, id: "sk_2" }, sealed)).toThrow();
    expect(() => openSecret(dataKey, { ...owner, algorithm: "ED25519" }, sealed)).toThrow();
  });

  test("cannot be opened after a bit was changed, or after it was truncated anywhere", () => {
    for (let place = 0; place < sealed.length; place++) {
      const changed = Buffer.from(sealed);
      changed[place] = (changed[place] ?? 0) ^ 1;
      expect(() => openSecret(dataKey, owner, changed)).toThrow();
      expect(() => openSecret(dataKey, owner, sealed.subarray(0, place))).toThrow();
    }
  });

  test("with a tag of 4 bytes, which Node's default would accept, cannot be opened", () => {
    const empty = sealSecret(dataKey, owner, Buffer.alloc(0));
    expect(openSecret(dataKey, owner, empty)).toHaveLength(0);
    expect(() => openSecret(dataKey, owner, empty.subarray(0, 1 + 12 + 4))).toThrow();
  });
});

describe("a wrapped data key", () => {
  const masterKeys = createMasterKeys(Buffer.alloc(32, 3), Buffer.alloc(32, 4));
  const bytes = Buffer.alloc(32, 5);
  const rowOf = (projectId: string, index: number) => {
    const masterKey = masterKeys.all[index] ?? masterKeys.wanted;
    return {
      project_id: projectId,
      master_key_id: masterKey.id,
      wrapped_key: wrapDataKey(masterKey, projectId, bytes),
    };
  };

  test("can be opened with either of the two master keys, by the id of the one that sealed it", () => {
    for (const index of [0, 1]) expect(unwrapDataKey(masterKeys, rowOf("proj_1", index))).toEqual(bytes);
    const other = createMasterKeys(Buffer.alloc(32, 3));
    const row = rowOf("proj_1", 1);
    expect(() => unwrapDataKey(other, row)).toThrow(`does not have the master key ${row.master_key_id}`);
  });

  test("of another project, or under the id of another master key, cannot be opened", () => {
    const [row, other] = [rowOf("proj_1", 0), rowOf("proj_2", 0)];
    expect(() => unwrapDataKey(masterKeys, { ...row, wrapped_key: other.wrapped_key })).toThrow();
    const id = masterKeys.all[1]?.id ?? "";
    expect(() => unwrapDataKey(masterKeys, { ...row, master_key_id: id })).toThrow();
  });
});

test("a secret that an earlier version has sealed is opened with whichever master key sealed it", () => {
  const masterKeys = createMasterKeys(Buffer.alloc(32, 3), Buffer.alloc(32, 4));
  for (const masterKey of masterKeys.all) {
    const sealed = oldFormatOf(masterKey, "sk_1", secret);
    expect(isOldFormat(sealed)).toBe(true);
    expect(openWithAny(masterKeys, "sk_1", sealed)).toEqual(secret);
    expect(() => openWithAny(masterKeys, "sk_2", sealed)).toThrow("opens the signing key sk_2");
  }
  expect(isOldFormat(sealSecret(dataKey, owner, secret))).toBe(false);
});
