import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const sdk = import.meta.dirname;
const root = dirname(sdk);

let folder: string;
let packed: readonly string[];

/** Returns the folder of an installed package. */
function folderOf(name: string): string {
  return join(root, "node_modules", name);
}

/** Packs a folder. Returns the path of the tarball and the paths of the files in it. */
async function pack(from: string): Promise<{ path: string; files: string[] }> {
  const { stdout } = await run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], {
    cwd: from,
  });
  const [report] = JSON.parse(stdout.slice(stdout.indexOf("["))) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (report === undefined) throw new Error("npm pack said nothing");
  return { path: join(folder, report.filename), files: report.files.map((file) => file.path) };
}

/** Makes a tarball of an installed package, without npm. Returns its path. */
async function packInstalled(name: string): Promise<string> {
  const path = join(folder, `${name.replaceAll(/\W/g, "-")}.tar`);
  await run("tar", ["-cf", path, "-C", dirname(folderOf(name)), basename(name)]);
  return path;
}

/** Copies the package, so that two test runs do not build in one folder. */
async function copySources(): Promise<string> {
  const copy = join(folder, "sources/sdk");
  const filter = (path: string) => !/[\\/](dist|node_modules)$/.test(path);
  await cp(sdk, copy, { recursive: true, filter });
  await cp(join(root, "tsconfig.json"), join(folder, "sources/tsconfig.json"));
  await symlink(join(root, "node_modules"), join(folder, "sources/node_modules"));
  return copy;
}

// The package and its two dependencies come from tarballs made here, so that no registry is asked.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "easycron-sdk-"));
  const own = await pack(await copySources());
  packed = own.files;
  const others = [await packInstalled("@bufbuild/protobuf"), await packInstalled("@connectrpc/connect")];
  await writeFile(join(folder, "package.json"), '{"name":"empty","version":"1.0.0","type":"module"}');
  const flags = ["--offline", "--cache", join(folder, "cache"), "--no-audit", "--no-fund"];
  await run("npm", ["install", ...flags, own.path, ...others], { cwd: folder });
}, 120_000);

afterAll(() => rm(folder, { recursive: true }));

describe("the packed SDK, installed into an empty folder", () => {
  test("holds built code, declarations and no sources or tests", () => {
    const rest = packed.filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path));
    expect(rest.sort()).toEqual(["README.md", "package.json"]);
    expect(packed.filter((path) => path.includes(".test."))).toEqual([]);
  });

  test("accepts every version of a dependency that is compatible with the one tested here", async () => {
    const { dependencies } = JSON.parse(await readFile(join(sdk, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    for (const [name, range] of Object.entries(dependencies)) {
      // An exact version would make npm install the package a second time beside the user's own.
      expect(range).toMatch(/^\^\d+\.\d+\.\d+$/);
      expect(JSON.parse(await readFile(join(folderOf(name), "package.json"), "utf8"))).toMatchObject({
        version: range.slice(1),
      });
    }
  });

  test("says which Node it needs, where its source is, and that it has no licence yet", async () => {
    const manifest = JSON.parse(await readFile(join(sdk, "package.json"), "utf8")) as Record<string, unknown>;
    expect(manifest).toMatchObject({
      license: "UNLICENSED",
      engines: { node: ">=20" },
      repository: { type: "git", directory: "sdk" },
    });
  });

  test("verifies a webhook and makes a client", async () => {
    const program = `
      import { createHmac } from "node:crypto";
      import { EasyCron, EasyCronError, triggerId } from "@easycron/sdk";
      import { verify } from "@easycron/sdk/webhook";
      const key = Buffer.alloc(32, 7);
      const timestamp = String(Math.floor(Date.now() / 1000));
      const signature = "v1," + createHmac("sha256", key).update("msg_1." + timestamp + ".{}").digest("base64");
      const headers = { "webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature };
      const { id } = verify("{}", headers, "whsec_" + key.toString("base64"));
      const client = new EasyCron({ url: "http://127.0.0.1:1", apiKey: "k" });
      const error = await client.jobs.get("a", { timeoutMs: 50 }).catch((thrown) => thrown);
      console.log(JSON.stringify([id, error instanceof EasyCronError, error.code, typeof triggerId]));
    `;
    await writeFile(join(folder, "program.mjs"), program);
    const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: folder });
    expect(JSON.parse(stdout)).toEqual(["msg_1", true, "UNAVAILABLE", "function"]);
  });

  test.each(["index.js", "raw.js"])(
    "imports no module of Node in %s, so that browsers can load it",
    async (entry) => {
      const dist = join(folder, "node_modules/@easycron/sdk/dist");
      const read = new Set<string>();
      const packages = new Set<string>();
      const follow = async (path: string): Promise<void> => {
        if (read.has(path)) return;
        read.add(path);
        const code = await readFile(path, "utf8");
        for (const [, target = ""] of code.matchAll(/ from "([^"]+)";$/gm)) {
          if (target.startsWith(".")) await follow(join(dirname(path), target));
          else packages.add(target.split("/").slice(0, 2).join("/"));
        }
      };
      await follow(join(dist, entry));
      expect(read.size).toBeGreaterThan(8);
      for (const name of packages) expect(["@bufbuild/protobuf", "@connectrpc/connect"]).toContain(name);
    },
  );

  test("loads ./webhook without any dependency", async () => {
    for (const name of ["@bufbuild", "@connectrpc"]) {
      await rm(join(folder, "node_modules", name), { recursive: true });
    }
    const program = 'import { verify } from "@easycron/sdk/webhook"; console.log(typeof verify)';
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: folder,
    });
    expect(stdout).toBe("function\n");
  });
});

describe("the declarations of the SDK", () => {
  test("type-check in a strict project that has neither Node's nor the DOM's types", async () => {
    const uses = `
      import { EasyCron, EasyCronError, type Job } from "@easycron/sdk";
      import { verify } from "@easycron/sdk/webhook";
      const client = new EasyCron({ url: "https://x", apiKey: "k" });
      export const job: Promise<Job> = client.jobs.get("a");
      export const state: "ACTIVE" | "PAUSED" | "FINISHED" | "DELETED" | undefined = (await job).state;
      export const cron = (await client.raw.jobs.getJob({ name: "a" })).job?.schedules[0]?.kind.case;
      export const name: string | undefined = verify("", {}, ["whsec_"]).trigger?.job.name;
      export const code: string = EasyCronError.from(1).code;
    `;
    await writeFile(join(folder, "uses.ts"), uses);
    for (const name of ["@bufbuild/protobuf", "@connectrpc/connect"]) {
      await cp(folderOf(name), join(folder, "node_modules", name), { recursive: true });
    }
    const tsc = join(folderOf("typescript"), "bin/tsc");
    const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext"];
    await run(process.execPath, [tsc, ...flags, "--lib", "es2022", "--skipLibCheck", "uses.ts"], {
      cwd: folder,
    });
  });
});
