import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { POSTGRES_MAJOR, type PostgresBinaries } from "./postgres-binaries.ts";
import { signal as sendSignal } from "./processes.ts";
import { StartError, systemCode } from "./start-error.ts";

/**
 * Returns whether a folder has the files of PostgreSQL. Throws a StartError when it has other files, or those of
 * another major version.
 */
export function readFolderState(folder: string): "absent" | "present" {
  const version = readVersion(folder);
  if (version === POSTGRES_MAJOR) return "present";
  if (version === undefined) {
    if (isAbsent(folder)) return "absent";
    throw new StartError(
      `${folder} is damaged: it is not empty and has no PG_VERSION. ` +
        "Restore it from a backup, or move it away to start with an empty one.",
    );
  }
  throw new StartError(
    `${folder} was made by PostgreSQL ${JSON.stringify(version)}, and this is PostgreSQL ${POSTGRES_MAJOR}. ` +
      "Set EASYCRON_DATA_DIR to another folder, or move this one away.",
  );
}

function readVersion(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, "PG_VERSION"), "utf8").trim().slice(0, 20);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new StartError(
      `${folder} cannot be read (${systemCode(error)}). Make it readable, or move it away.`,
      {
        cause: error,
      },
    );
  }
}

function isAbsent(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch (error) {
    return systemCode(error) === "ENOENT";
  }
}

/** Options of `initialise`. */
export interface InitialiseOptions {
  readonly folder: string;
  readonly password: string;
  readonly binaries: PostgresBinaries;
  readonly signal?: AbortSignal;
  /** False skips fsync, for throw-away data. Default true. */
  readonly durable?: boolean;
}

/**
 * Creates the files of an empty PostgreSQL. They are made in a temporary folder beside `folder` and renamed when
 * complete. Temporary folders that a killed process left are removed. Throws a StartError when the files cannot be
 * created.
 */
export async function initialise({
  folder,
  password,
  binaries,
  signal,
  durable = true,
}: InitialiseOptions): Promise<void> {
  removeHalfMade(folder);
  // The name has this process's pid, because a process of a killed start may still write to its own temporary folder.
  const making = `${folder}.new-${process.pid}`;
  const passwordFile = `${folder}.password`;
  const { initdb, user } = binaries;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) {
    for (const path of [making, passwordFile]) chownSync(path, user.uid, user.gid);
  }
  const passwordFd = openSync(passwordFile, "r");
  rmSync(passwordFile);
  try {
    const args = [
      `--pgdata=${folderArgument(making, user !== undefined)}`,
      "--username=postgres",
      "--auth=scram-sha-256",
      // By descriptor: the file is already unlinked, and the other user may have no access to its folder.
      "--pwfile=/dev/fd/3",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-instructions",
      ...(durable ? [] : ["--no-sync"]),
    ];
    await run(initdb, args, { ...user, cwd: making, passwordFd, ...(signal && { signal }) });
    chmodSync(making, 0o700);
    renameSync(making, folder);
  } finally {
    closeSync(passwordFd);
    rmSync(making, { recursive: true, force: true });
  }
}

function removeHalfMade(folder: string): void {
  const prefix = `${basename(folder)}.new-`;
  for (const name of readdirSync(dirname(folder))) {
    if (name.startsWith(prefix)) rmSync(join(dirname(folder), name), { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd: string;
  readonly passwordFd: number;
  readonly signal?: AbortSignal;
}

async function run(
  program: string,
  args: readonly string[],
  { passwordFd, signal, ...options }: RunOptions,
): Promise<void> {
  const child = spawn(program, args, {
    ...options,
    env: { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH },
    stdio: ["ignore", "ignore", "pipe", passwordFd],
    detached: true,
  });
  let output = "";
  child.stderr?.on("data", (text: Buffer) => {
    output += text;
  });
  // Kills the whole process group, because initdb runs a server that would continue to write.
  const kill = () => child.pid !== undefined && sendSignal(-child.pid, "SIGKILL");
  signal?.addEventListener("abort", kill);
  if (signal?.aborted === true) kill();
  // "close" comes when no process of the group is left, so nothing can still write a line or a file.
  const [code] = (await once(child, "close")) as [number | null];
  signal?.removeEventListener("abort", kill);
  signal?.throwIfAborted();
  if (code === 0) return;
  const lines = output.trim().split("\n");
  const why = lines.find((line) => /error|fatal|could not/i.test(line)) ?? `it ended with ${code}`;
  throw new StartError(`PostgreSQL could not create its files in ${options.cwd}: ${why}`);
}

/**
 * Returns the path by which PostgreSQL reaches its folder. Another user may have no access to a parent of the folder,
 * but a process can always reach its own working directory.
 */
export function folderArgument(folder: string, asAnotherUser: boolean): string {
  return asAnotherUser && process.platform === "linux" ? "/proc/self/cwd" : folder;
}
