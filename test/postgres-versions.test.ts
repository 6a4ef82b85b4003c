import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrate } from "../db/migrate.ts";
import { type ByRole, withRole } from "../db/roles.ts";
import { declaredStatements } from "../db/statement.ts";
import { findFreePorts } from "../dev/ports.ts";
import { findBinaries } from "../dev/postgres-binaries.ts";

const root = resolve(import.meta.dirname, "..");
const SERVICES = ["gateway", "scheduler", "dispatcher"] as const;
const PASSWORDS = { gateway: "g", scheduler: "s", dispatcher: "d" };

/** Where the programs of a major version may be: a folder of the tester's, Debian's, and the npm package (18). */
const FOLDERS = (major: number) => [
  join(process.env.TEST_POSTGRES_FOLDER ?? "/nowhere", String(major), "bin"),
  `/usr/lib/postgresql/${major}/bin`,
  ...(major === 18 ? [resolve(findBinaries().postgres, "..")] : []),
];

const VERSIONS = [15, 16, 17, 18].map((major) => {
  const folder = FOLDERS(major).find((candidate) => existsSync(join(candidate, "initdb")));
  return { major, folder, title: folder === undefined ? `${major} (not installed here)` : String(major) };
});

interface Server {
  url(database: string): string;
  stop(): Promise<void>;
}

/** Starts a server of these programs on empty data; every login is accepted with its password only. */
async function startServer(folder: string): Promise<Server> {
  const { user } = findBinaries();
  const parent = await mkdtemp(join(tmpdir(), "easycron-version-"));
  await chmod(parent, 0o755);
  if (user !== undefined) await chown(parent, user.uid, user.gid);
  const [port = 0] = await findFreePorts(1);
  const options = { ...user, cwd: parent, env: { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH } };
  const data = join(parent, "data");
  const run = promisify(execFile);
  const flags = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  await run(join(folder, "initdb"), ["--pgdata", data, ...flags], options);
  const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off`;
  // pg_ctl leaves the server running, which must not keep this process's pipes open.
  const starting = execFile(
    join(folder, "pg_ctl"),
    ["-D", data, "-o", settings, "-l", join(parent, "log"), "-w", "start"],
    options,
  );
  const [code] = (await once(starting, "exit")) as [number | null];
  if (code !== 0) throw new Error(`pg_ctl of ${folder} ended with ${code}.`);
  return {
    url: (database) => `postgres://postgres:p@127.0.0.1:${port}/${database}`,
    stop: async () => {
      await run(join(folder, "pg_ctl"), ["-D", data, "-m", "immediate", "-w", "stop"], options);
      await rm(parent, { recursive: true });
    },
  };
}

async function execute(connectionString: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    for (const text of statements) await client.query(text);
  } finally {
    await client.end();
  }
}

/** Prepares every statement of a service under its login, and calls what only runs then. */
async function prepareAll(connectionString: string, service: keyof ByRole<string>): Promise<void> {
  const { stdout } = await promisify(execFile)("git", ["ls-files", "*.sql.ts"], { cwd: root });
  const files = stdout.split("\n").filter((path) => path.startsWith(`${service}/`) || path.startsWith("db/"));
  const loaded = await Promise.all(files.map((path) => import(join(root, path)) as Promise<object>));
  const names = new Set(
    loaded.flatMap((module) => Object.values(module).map((value: { name?: string }) => value.name)),
  );
  const statements = declaredStatements().filter(({ name }) => names.has(name));
  expect(statements.length).toBeGreaterThan(3);
  const prepared = statements.map(({ name, text }) => `prepare "${name}" as ${text}`);
  // Bodies of functions are read when they run.
  const called = service === "dispatcher" ? ["select * from dispatcher.oldest_snapshot()"] : [];
  await execute(connectionString, ...prepared, ...called);
}

describe.each(VERSIONS)("on PostgreSQL $title", ({ folder }) => {
  let server: Server;
  beforeAll(async () => {
    if (folder !== undefined) server = await startServer(folder);
  }, 60_000);
  afterAll(() => server?.stop());

  test.skipIf(folder === undefined)(
    "a superuser migrates two databases, and every statement of every service can be prepared",
    async () => {
      await execute(server.url("postgres"), "create database one", "create database two");
      for (const name of ["one", "two"]) await migrate(server.url(name), { rolePasswords: PASSWORDS });
      for (const service of SERVICES) {
        const own = withRole(server.url("two"), `easycron_two_${service}`, PASSWORDS[service]);
        await prepareAll(own, service);
        await expect(prepareAll(own.replace("/two", "/one"), service)).rejects.toThrow(/permission denied/);
      }
    },
  );

  test.skipIf(folder === undefined)(
    "an owner of the database with CREATEROLE, or without it and with roles that exist, migrates",
    async () => {
      await execute(
        server.url("postgres"),
        "create role maker login createrole",
        "create database made owner maker",
        "create role owner login",
        "create database owned owner owner",
      );
      await migrate(withRole(server.url("made"), "maker", "p"), { rolePasswords: PASSWORDS });
      const owner = withRole(server.url("owned"), "owner", "p");
      await expect(migrate(owner)).rejects.toThrow(/may not create roles/);
      for (const service of SERVICES) {
        await execute(server.url("postgres"), `create role easycron_owned_${service} login`);
      }
      await migrate(owner, { rolePasswords: PASSWORDS });
      for (const name of ["made", "owned"]) {
        for (const service of SERVICES) {
          await prepareAll(withRole(server.url(name), `easycron_${name}_${service}`, "p"), service);
        }
      }
    },
  );
});
