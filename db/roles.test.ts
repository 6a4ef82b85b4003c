import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { type MigrateOptions, migrate } from "./migrate.ts";
import { createPool } from "./pool.ts";
import { type DatabaseRole, RoleError, withRole } from "./roles.ts";
import { readGrants } from "./schema.ts";

// Roles belong to the whole server, so every name here is used in this file only.
const server = inject("easycronPostgres").url;
const PASSWORDS = { gateway: "one-g", scheduler: "one-s", dispatcher: "one-d" };
const OTHER_PASSWORDS = { gateway: "two-g", scheduler: "two-s", dispatcher: "two-d" };
const SERVICES = ["gateway", "scheduler", "dispatcher"] as const;

let admin: pg.Client;
beforeAll(async () => {
  admin = new pg.Client({ connectionString: server });
  await admin.connect();
});
afterAll(() => admin.end());

const urlOf = (database: string): string => {
  const url = new URL(server);
  url.pathname = database;
  return url.href;
};

/** Makes empty databases, and removes them and every role of theirs at the end of the test. */
async function createDatabases(...names: string[]): Promise<string[]> {
  for (const name of names) await admin.query(`create database ${name}`);
  used.push(...names);
  return names.map(urlOf);
}

const used: string[] = [];
afterEach(async () => {
  for (const name of used.splice(0)) await admin.query(`drop database ${name} with (force)`);
  const { rows } = await admin.query<{ name: string }>(
    "select rolname as name from pg_roles where rolname like '%roletest%'",
  );
  for (const { name } of rows) await admin.query(`drop role ${name}`);
});

/** Runs a statement under a login. */
async function ask(connectionString: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** What must work for each service, and for no other. */
const OWN: Readonly<Record<DatabaseRole, string>> = {
  gateway: "select from gateway.projects",
  scheduler: "select from scheduler.jobs",
  dispatcher: "select from dispatcher.triggers",
};

/** Expects that each service can log in to a database and use its own tables. */
async function expectWorking(
  url: string,
  prefix: string,
  passwords: Readonly<Record<DatabaseRole, string>>,
): Promise<void> {
  for (const service of SERVICES) {
    expect(await ask(withRole(url, `${prefix}_${service}`, passwords[service]), OWN[service])).toEqual([]);
  }
}

const refusal = async (url: string, options: MigrateOptions): Promise<string> => {
  const error = await migrate(url, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RoleError);
  const { message } = error as RoleError;
  expect(message).not.toContain("\n");
  return message;
};

describe("two installations on one server", () => {
  test("have roles of their own, named after their databases, and neither changes or reads the other's", async () => {
    const [one = "", two = ""] = await createDatabases("roletest_one", "roletest_two");
    const { roles } = await migrate(one, { rolePasswords: PASSWORDS });
    expect(roles.gateway).toBe("easycron_roletest_one_gateway");
    await migrate(two, { rolePasswords: OTHER_PASSWORDS });
    await migrate(two, { rolePasswords: OTHER_PASSWORDS });
    await expectWorking(one, "easycron_roletest_one", PASSWORDS);
    await expectWorking(two, "easycron_roletest_two", OTHER_PASSWORDS);
    for (const service of SERVICES) {
      const stranger = withRole(one, `easycron_roletest_two_${service}`, OTHER_PASSWORDS[service]);
      await expect(ask(stranger, OWN[service])).rejects.toThrow(/permission denied/);
    }
  });

  test("that share the roles of an earlier version are told so, and get roles of their own by a variable", async () => {
    const [one = "", two = ""] = await createDatabases("roletest_three", "roletest_four");
    await migrate(one, { rolePrefix: "roletest_shared", rolePasswords: PASSWORDS });
    const message = await refusal(two, { rolePrefix: "roletest_shared", rolePasswords: OTHER_PASSWORDS });
    expect(message).toMatch(
      /^The role roletest_shared_gateway exists with another password.*EASYCRON_ROLE_PREFIX/,
    );
    await expectWorking(one, "roletest_shared", PASSWORDS);
    await migrate(two, { rolePrefix: "roletest_own", rolePasswords: OTHER_PASSWORDS });
    await expectWorking(one, "roletest_shared", PASSWORDS);
    await expectWorking(two, "roletest_own", OTHER_PASSWORDS);
  });
});

describe("the roles of a database", () => {
  test("keep their names when it is migrated again or renamed", async () => {
    const [url = ""] = await createDatabases("roletest_five");
    await migrate(url, { rolePasswords: PASSWORDS });
    await admin.query("alter database roletest_five rename to roletest_six");
    used.splice(used.indexOf("roletest_five"), 1, "roletest_six");
    const { roles } = await migrate(urlOf("roletest_six"), { rolePasswords: PASSWORDS });
    expect(roles.dispatcher).toBe("easycron_roletest_five_dispatcher");
  });

  test("are easycron_<service> in a database from before the prefix was recorded", async () => {
    const [url = ""] = await createDatabases("roletest_seven");
    await migrate(url, { rolePrefix: "easycron" });
    await ask(url, "drop table public.easycron_installation");
    const { roles } = await migrate(url);
    expect(roles.scheduler).toBe("easycron_scheduler");
  });

  test("give every grant to the new roles when another prefix is asked for, and the old ones keep none", async () => {
    const [url = ""] = await createDatabases("roletest_eight");
    await migrate(url, { rolePrefix: "roletest_old", rolePasswords: PASSWORDS });
    const before = await readGrants(url);
    await migrate(url, { rolePrefix: "roletest_new", rolePasswords: OTHER_PASSWORDS });
    const renamed = before.map((grant) => ({
      ...grant,
      role: grant.role.replace("roletest_old", "roletest_new"),
    }));
    expect(await readGrants(url)).toEqual(renamed);
    await expectWorking(url, "roletest_new", OTHER_PASSWORDS);
    await ask(url, "drop owned by roletest_old_gateway, roletest_old_scheduler, roletest_old_dispatcher");
    await ask(url, "drop role roletest_old_gateway, roletest_old_scheduler, roletest_old_dispatcher");
  });

  test("get their passwords anew only when that is asked for", async () => {
    const [url = ""] = await createDatabases("roletest_nine");
    const options = { rolePrefix: "roletest_reset", rolePasswords: PASSWORDS };
    await migrate(url, options);
    const changed = { ...options, rolePasswords: OTHER_PASSWORDS };
    expect(await refusal(url, changed)).toMatch(/EASYCRON_RESET_ROLE_PASSWORDS=on/);
    await expectWorking(url, "roletest_reset", PASSWORDS);
    await migrate(url, { ...changed, resetsPasswords: true });
    await expectWorking(url, "roletest_reset", OTHER_PASSWORDS);
  });

  test("must not be superusers, and must be able to log in if a service is to use them", async () => {
    const [url = ""] = await createDatabases("roletest_ten");
    await admin.query("create role roletest_bad_gateway login superuser password 'one-g'");
    const options = { rolePrefix: "roletest_bad", rolePasswords: PASSWORDS };
    expect(await refusal(url, options)).toMatch(/^The role roletest_bad_gateway is a superuser/);
    await admin.query("alter role roletest_bad_gateway nosuperuser nologin");
    expect(await refusal(url, options)).toMatch(/^The role roletest_bad_gateway exists and may not log in/);
    expect(await ask(url, "select to_regnamespace('gateway') as schema")).toEqual([{ schema: null }]);
  });

  test("are asked for by a shorter prefix when the name of the database is too long", async () => {
    const name = `roletest_${"x".repeat(40)}`;
    const [url = ""] = await createDatabases(name);
    expect(await refusal(url, {})).toMatch(/more than 63 bytes. Set EASYCRON_ROLE_PREFIX/);
  });

  test("may connect to a database to which not everybody may", async () => {
    const [url = ""] = await createDatabases("roletest_eleven");
    await admin.query("revoke connect on database roletest_eleven from public");
    for (let run = 1; run <= 2; run++) await migrate(url, { rolePasswords: PASSWORDS });
    await expectWorking(url, "easycron_roletest_eleven", PASSWORDS);
  });
});

describe("an owner of the database without CREATEROLE", () => {
  test("is told which roles to have made, and migrates when they exist", async () => {
    const [url = ""] = await createDatabases("roletest_twelve");
    await admin.query("create role roletest_owner login password 'own'");
    await admin.query("alter database roletest_twelve owner to roletest_owner");
    const owner = withRole(url, "roletest_owner", "own");
    const message = await refusal(owner, { rolePrefix: "roletest_by" });
    expect(message).toContain('create role "roletest_by_gateway"; create role "roletest_by_scheduler";');
    for (const service of SERVICES) await admin.query(`create role roletest_by_${service}`);
    await migrate(owner, { rolePrefix: "roletest_by" });
    for (const service of SERVICES) {
      await admin.query(`alter role roletest_by_${service} login password '${PASSWORDS[service]}'`);
    }
    await expectWorking(url, "roletest_by", PASSWORDS);
  });

  test("with CREATEROLE makes the roles and migrates", async () => {
    const [url = ""] = await createDatabases("roletest_thirteen");
    await admin.query("create role roletest_maker login createrole password 'own'");
    await admin.query("alter database roletest_thirteen owner to roletest_maker");
    const owner = withRole(url, "roletest_maker", "own");
    for (let run = 1; run <= 2; run++) await migrate(owner, { rolePasswords: PASSWORDS });
    await expectWorking(url, "easycron_roletest_thirteen", PASSWORDS);
  });
});

describe("logins of the operator's own", () => {
  test("use the database as members of a service's role, several of them", async () => {
    const [url = ""] = await createDatabases("roletest_fourteen");
    await migrate(url, { rolePrefix: "roletest_group" });
    for (const login of ["roletest_blue", "roletest_green"]) {
      await admin.query(`create role ${login} login password 'p' in role roletest_group_dispatcher`);
      const connectionString = withRole(url, login, "p");
      await migrate(url, { logins: { dispatcher: { connectionString, variable: "X" } } });
      expect(await ask(connectionString, OWN.dispatcher)).toEqual([]);
      await expect(ask(connectionString, OWN.gateway)).rejects.toThrow(/permission denied/);
      const pool = createPool({ connectionString, max: 1, applicationName: "test", avoidsScans: true });
      const shown = await pool.query({ name: "shown", text: "show enable_seqscan" });
      expect(shown).toEqual([{ enable_seqscan: "off" }]);
      await pool.close();
    }
  });

  test("are refused when they are not members, with the statement that makes them", async () => {
    const [url = ""] = await createDatabases("roletest_fifteen");
    await admin.query("create role roletest_nobody login password 'p'");
    const login = {
      connectionString: withRole(url, "roletest_nobody", "p"),
      variable: "EASYCRON_GATEWAY_DATABASE_URL",
    };
    expect(await refusal(url, { rolePrefix: "roletest_of", logins: { gateway: login } })).toContain(
      "EASYCRON_GATEWAY_DATABASE_URL has the login roletest_nobody, and it is not a member of the role " +
        'roletest_of_gateway. Let an administrator of the server run: grant "roletest_of_gateway" to "roletest_nobody";',
    );
    const superuser = { connectionString: url, variable: "EASYCRON_GATEWAY_DATABASE_URL" };
    expect(await refusal(url, { rolePrefix: "roletest_of", logins: { gateway: superuser } })).toMatch(
      /is a superuser/,
    );
  });
});

test.each([
  ["postgres://a:b@h:1/d?sslmode=require", "postgres://r:p%2F@h:1/d?sslmode=require"],
  ["postgres:///d?host=/run/postgresql", "postgres:///d?host=%2Frun%2Fpostgresql&user=r&password=p%2F"],
])("the connection string %s with another role is %s", (given, expected) => {
  expect(withRole(given, "r", "p/")).toBe(expected);
});
