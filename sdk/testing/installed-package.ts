import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const sdk = dirname(import.meta.dirname);
const root = dirname(sdk);
const cache = join(root, "node_modules/.cache/easycron-package");

/** The package, packed by npm and installed by npm into a folder that was empty. Do not change it: tests share it. */
export interface InstalledPackage {
  /** The folder with `node_modules`: the package and its two dependencies. */
  readonly folder: string;
  readonly tarball: string;
  /** The paths of the files in the tarball. */
  readonly files: readonly string[];
}

/**
 * Packs the package and installs it. Both are kept in a cache under a hash of the sources, so that it is built once for
 * all tests that need it. Asks no registry.
 */
export async function installPackage(): Promise<InstalledPackage> {
  const kept = join(cache, await hashSources());
  if (!(await isMade(kept))) await make(kept);
  const { tarball, files } = JSON.parse(await readFile(join(kept, "made.json"), "utf8")) as InstalledPackage;
  return { folder: join(kept, "app"), tarball: join(kept, tarball), files };
}

/** Returns the folder of a package that is installed in the repository. */
export function folderOf(name: string): string {
  return join(root, "node_modules", name);
}

async function isMade(kept: string): Promise<boolean> {
  return readFile(join(kept, "made.json")).then(
    () => true,
    () => false,
  );
}

/**
 * Makes the folder elsewhere, because the compiler writes nothing for files below node_modules. Moves it to its place as
 * a whole, because other test runs may do the same.
 */
async function make(kept: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const before = await readdir(cache);
  const folder = await mkdtemp(join(tmpdir(), "easycron-package-"));
  const { tarball, files } = await pack(folder);
  const others = await Promise.all(
    ["@bufbuild/protobuf", "@connectrpc/connect"].map((name) => packInstalled(name, folder)),
  );
  const app = join(folder, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), '{"name":"app","version":"1.0.0","type":"module"}');
  const flags = ["--offline", "--cache", join(folder, "npm"), "--no-audit", "--no-fund"];
  await run("npm", ["install", ...flags, join(folder, tarball), ...others], { cwd: app });
  for (const name of ["npm", "sources"]) await rm(join(folder, name), { recursive: true });
  await writeFile(join(folder, "made.json"), JSON.stringify({ tarball, files }));
  const copy = `${kept}.${process.pid}`;
  await cp(folder, copy, { recursive: true });
  await rm(folder, { recursive: true });
  try {
    await rename(copy, kept);
  } catch (error) {
    await rm(copy, { recursive: true });
    if (!(await isMade(kept))) throw error;
  }
  for (const old of before.filter((name) => !name.startsWith(basename(kept)))) {
    await rm(join(cache, old), { recursive: true, force: true });
  }
}

/** Packs a copy of the sources, so that two test runs do not build in one folder. */
async function pack(folder: string): Promise<{ tarball: string; files: string[] }> {
  const copy = join(folder, "sources/sdk");
  await cp(sdk, copy, { recursive: true, filter: (path) => !/[\\/](dist|node_modules)$/.test(path) });
  await cp(join(root, "tsconfig.json"), join(folder, "sources/tsconfig.json"));
  await symlink(join(root, "node_modules"), join(folder, "sources/node_modules"));
  const { stdout } = await run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], {
    cwd: copy,
  });
  const [report] = JSON.parse(stdout.slice(stdout.indexOf("["))) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (report === undefined) throw new Error("npm pack said nothing");
  return { tarball: report.filename, files: report.files.map(({ path }) => path) };
}

/** Makes a tarball of an installed package, without npm. Returns its path. */
async function packInstalled(name: string, folder: string): Promise<string> {
  const path = join(folder, `${name.replaceAll(/\W/g, "-")}.tar`);
  await run("tar", ["-cf", path, "-C", dirname(folderOf(name)), basename(name)]);
  return path;
}

async function hashSources(): Promise<string> {
  const hash = createHash("sha256");
  const own = (await readdir(sdk, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => !/[\\/](dist|node_modules|api-reference)[\\/]|\.test\.ts$/.test(path.slice(sdk.length)))
    .sort();
  for (const path of [...own, join(root, "tsconfig.json"), join(root, "package-lock.json")]) {
    hash.update(`${path.slice(root.length)}\n`).update(await readFile(path));
  }
  return hash.digest("hex").slice(0, 32);
}
