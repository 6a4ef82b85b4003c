import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { oldFormatOf } from "../testing/old-format.ts";
import { wrapDataKey } from "./data-keys.ts";
import { checkMasterKeys } from "./master-key.ts";
import { createMasterKeys } from "./master-keys.ts";

const OWN = Buffer.alloc(32, 1);
const OTHER = Buffer.alloc(32, 2);
const own = createMasterKeys(OWN);
const other = createMasterKeys(OTHER);

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
  await ground.sql("delete from dispatcher.data_keys");
  warnings.length = 0;
});

const check = (masterKeys: typeof own) => checkMasterKeys({ database, masterKeys, logger });

async function readRecorded(): Promise<string | undefined> {
  const [row] = await ground.sql("select key_id from dispatcher.master_key");
  return row?.key_id;
}

async function addOldKey(id: string, { wanted }: typeof own): Promise<void> {
  const sealed = oldFormatOf(wanted, id, Buffer.alloc(32));
  await ground.sql(
    "insert into dispatcher.signing_keys (id, project_id, algorithm, sealed_secret, create_time) values ($1, 'proj_1', 'HMAC_SHA256', $2, now())",
    [id, sealed],
  );
}

async function addDataKey(projectId: string, { wanted }: typeof own): Promise<void> {
  const wrapped = wrapDataKey(wanted, projectId, Buffer.alloc(32));
  await ground.sql("insert into dispatcher.data_keys values ($1, $2, $3, 0, now())", [
    projectId,
    wanted.id,
    wrapped,
  ]);
}

describe("the check of the master key", () => {
  test("accepts any key on a database without signing keys, and from then on that key only", async () => {
    await check(own);
    const id = await readRecorded();
    expect(id).toMatch(/^mk_[0-9a-f]{16}$/);
    await check(own);
    await expect(check(other)).rejects.toThrow(
      `EASYCRON_MASTER_KEY is the key ${other.wanted.id}, and the signing keys of this database are sealed ` +
        `with the key ${id}.`,
    );
    expect(await readRecorded()).toBe(id);
  });

  test("accepts a new key beside the recorded one, and goes on without it only when it seals nothing any more", async () => {
    await check(own);
    await addDataKey("proj_1", own);
    await check(createMasterKeys(OTHER, OWN));
    expect(await readRecorded()).toBe(own.wanted.id);
    await ground.sql("update dispatcher.master_key set key_id = $1, check_value = $2", [
      other.wanted.id,
      other.wanted.checkValue,
    ]);
    await check(createMasterKeys(OTHER, OWN));
    await expect(check(other)).rejects.toThrow(
      `The master key ${own.wanted.id} still seals the signing keys of 1 projects. Set EASYCRON_PREVIOUS_MASTER_KEY`,
    );
    await ground.sql("delete from dispatcher.data_keys");
    await addDataKey("proj_1", other);
    await check(other);
  });

  test("accepts one key when two dispatchers with two keys make the first start together", async () => {
    const ended = await Promise.allSettled([check(own), check(other), check(own), check(other)]);
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect([own.wanted.id, other.wanted.id]).toContain(await readRecorded());
  });

  test("refuses a key that decrypts no signing key of a database that has no record yet, and records nothing", async () => {
    await addOldKey("sk_1", own);
    await expect(check(other)).rejects.toThrow(/decrypts none of them \(such as sk_1\)/);
    expect(await ground.sql("select from dispatcher.master_key")).toHaveLength(0);
    await check(own);
    expect(await readRecorded()).toBe(own.wanted.id);
    expect(warnings).toEqual([]);
  });

  test("logs the signing keys that another master key has sealed before there was a record", async () => {
    await addOldKey("sk_1", other);
    await addOldKey("sk_2", own);
    await check(own);
    expect(warnings).toMatchObject([{ fields: { signingKeys: ["sk_1"] } }]);
  });

  test("stores nothing from which the key could be read, and the dispatcher's role may not change it", async () => {
    await check(own);
    const [row] = await ground.sql("select * from dispatcher.master_key");
    expect(row.check_value.equals(OWN)).toBe(false);
    await expect(
      database.query({ name: "change", text: "update dispatcher.master_key set key_id = 'x'" }),
    ).rejects.toThrow(/permission denied/);
  });
});
