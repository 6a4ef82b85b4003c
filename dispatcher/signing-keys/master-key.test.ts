import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { checkMasterKey, masterKeyIdOf } from "./master-key.ts";
import { createMasterKey, sealSecret } from "./sealed-secret.ts";

const own = createMasterKey(Buffer.alloc(32, 1));
const other = createMasterKey(Buffer.alloc(32, 2));

let ground: Ground;
let database: Pool;
const warnings: { readonly fields: object; readonly message: string }[] = [];
const logger = { warn: (fields: object, message: string) => warnings.push({ fields, message }) };

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 4, applicationName: "test" });
});
afterAll(async () => {
  await database.close();
  await ground.end();
});
afterEach(async () => {
  await ground.sql("delete from dispatcher.master_key");
  await ground.sql("delete from dispatcher.signing_keys");
  warnings.length = 0;
});

const check = (masterKey: typeof own) => checkMasterKey({ database, masterKey, logger });

async function addSigningKey(id: string, masterKey: typeof own): Promise<void> {
  const sealed = sealSecret(masterKey, id, Buffer.alloc(32));
  await ground.sql("insert into dispatcher.signing_keys values ($1, 'proj_1', $2, now())", [id, sealed]);
}

describe("the check of the master key", () => {
  test("accepts any key on a database without signing keys, and from then on that key only", async () => {
    const id = await check(own);
    expect(id).toMatch(/^mk_[0-9a-f]{16}$/);
    expect(await check(own)).toBe(id);
    await expect(check(other)).rejects.toThrow(
      `EASYCRON_MASTER_KEY is the key ${masterKeyIdOf(other)}, and the signing keys of this database are sealed ` +
        `with the key ${id}.`,
    );
    expect(await check(own)).toBe(id);
  });

  test("accepts one key when two dispatchers with two keys make the first start together", async () => {
    const ended = await Promise.allSettled([check(own), check(other), check(own), check(other)]);
    const accepted = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(accepted).toHaveLength(2);
    expect(new Set(accepted).size).toBe(1);
  });

  test("refuses a key that decrypts no signing key of a database that has no record yet, and records nothing", async () => {
    await addSigningKey("sk_1", own);
    await expect(check(other)).rejects.toThrow(/decrypts none of them \(such as sk_1\)/);
    expect(await ground.sql("select from dispatcher.master_key")).toHaveLength(0);
    expect(await check(own)).toBe(masterKeyIdOf(own));
    expect(warnings).toEqual([]);
  });

  test("logs the signing keys that another master key has sealed before there was a record", async () => {
    await addSigningKey("sk_1", other);
    await addSigningKey("sk_2", own);
    expect(await check(own)).toBe(masterKeyIdOf(own));
    expect(warnings).toMatchObject([{ fields: { signingKeys: ["sk_1"] } }]);
  });

  test("stores nothing from which the key could be read, and the dispatcher's role may not change it", async () => {
    await check(own);
    const [row] = await ground.sql("select * from dispatcher.master_key");
    expect(row.check_value.equals(Buffer.alloc(32, 1))).toBe(false);
    await expect(
      database.query({ name: "change", text: "update dispatcher.master_key set key_id = 'x'" }),
    ).rejects.toThrow(/permission denied/);
  });
});
