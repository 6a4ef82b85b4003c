import { execFile, spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { folderOf, installPackage } from "./testing/installed-package.ts";

const run = promisify(execFile);
const sdk = import.meta.dirname;

let folder: string;
let packed: readonly string[];
let tarball: string;

/** Returns the conditions `import` and `require` of an entry, for each runtime that has its own. */
function conditionsOf(entry: unknown): object[] {
  if (typeof entry !== "object" || entry === null) throw new Error(`not an entry: ${JSON.stringify(entry)}`);
  return "import" in entry ? [entry] : Object.values(entry).flatMap(conditionsOf);
}

// A webhook that is signed once for good, so that no runtime needs Node's crypto to make it.
const BODY = `
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": "1772355600",
    "webhook-signature": "v1,SIGNATURE",
  };
  const secret = "SECRET";
  const options = { now: () => new Date(1772355600000) };
  async function main() {
    const { id } = verify("{}", headers, secret, options);
    const again = await verifyAsync("{}", headers, secret, options);
    const client = new EasyCron({ url: "http://127.0.0.1:1", apiKey: "k" });
    const error = await client.jobs.get("a", { timeoutMs: 50 }).catch((thrown) => thrown);
    console.log(JSON.stringify([id, again.id, error instanceof EasyCronError, error.code, typeof triggerId]));
    const create = () => createReceiver({ secrets: TEST_SECRET, store: memoryStore(), onTrigger: () => "done" });
    const request = () => signTrigger().request();
    const answers = [
      await create().fetch(request()),
      await toWorker(create).fetch(request(), {}),
      await toHono(create())({ req: { raw: request() } }),
      await toNext(create()).POST(request()),
    ];
    console.log(JSON.stringify(answers.map(({ status }) => status)));
  }
  main();
`;
const KEY = Buffer.alloc(32, 7);
const PROGRAM = BODY.replace("SECRET", `whsec_${KEY.toString("base64")}`).replace(
  "SIGNATURE",
  createHmac("sha256", KEY).update("msg_1.1772355600.{}").digest("base64"),
);
const NAMES = "{ EasyCron, EasyCronError, triggerId }";
const PROGRAMS = {
  "program.mjs": `
    import ${NAMES} from "@easycron/sdk";
    import { verify, verifyAsync } from "@easycron/sdk/webhook";
    import { createReceiver } from "@easycron/sdk/receiver";
    import { memoryStore } from "@easycron/sdk/idempotency";
    import { signTrigger, TEST_SECRET } from "@easycron/sdk/testing";
    import { toHono } from "@easycron/sdk/hono";
    import { toNext } from "@easycron/sdk/next";
    import { toWorker } from "@easycron/sdk/workers";
    ${PROGRAM}`,
  "program.cjs": `
    const ${NAMES} = require("@easycron/sdk");
    const { verify, verifyAsync } = require("@easycron/sdk/webhook");
    const { createReceiver } = require("@easycron/sdk/receiver");
    const { memoryStore } = require("@easycron/sdk/idempotency");
    const { signTrigger, TEST_SECRET } = require("@easycron/sdk/testing");
    const { toHono } = require("@easycron/sdk/hono");
    const { toNext } = require("@easycron/sdk/next");
    const { toWorker } = require("@easycron/sdk/workers");
    ${PROGRAM}`,
};

/** What the programs print. */
const PRINTED = '["msg_1","msg_1",true,"UNAVAILABLE","function"]\n[200,200,200,200]\n';

/** Other runtimes, if the machine has them: Node 20, which is the oldest that the package promises, Bun and Deno. */
const OTHERS = [
  ["Node 20", "/usr/bin/node", /^v20\./],
  ["Bun", "bun", /^\d/],
  ["Deno", "deno", /^deno/],
] as const;
const RUNTIMES = [["this Node", process.execPath, /^v/] as const, ...OTHERS].flatMap(
  ([name, command, version]) => {
    const { stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    return version.test(stdout ?? "")
      ? Object.keys(PROGRAMS).map((file) => ({ name: `${name}, ${file}`, command, file }))
      : [];
  },
);

// Outside of the repository, so that nothing is found in its node_modules.
beforeAll(async () => {
  const installed = await installPackage();
  ({ tarball, files: packed } = installed);
  folder = await mkdtemp(join(tmpdir(), "easycron-sdk-"));
  await cp(installed.folder, folder, { recursive: true });
  for (const [file, text] of Object.entries(PROGRAMS)) await writeFile(join(folder, file), text);
}, 120_000);

afterAll(() => rm(folder, { recursive: true }));

describe("the packed SDK, installed into an empty folder", () => {
  test("holds built code, declarations and no sources or tests", () => {
    const rest = packed.filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path));
    expect(rest.sort()).toEqual(["CHANGELOG.md", "README.md", "dist/cjs/package.json", "package.json"]);
    expect(packed.filter((path) => path.includes(".test."))).toEqual([]);
  });

  test("has ES modules, CommonJS and declarations for every entry", async () => {
    const { exports } = JSON.parse(await readFile(join(sdk, "package.json"), "utf8")) as {
      exports: Record<string, unknown>;
    };
    const { "./package.json": _manifest, ...entries } = exports;
    for (const entry of Object.values(entries)) {
      for (const conditions of conditionsOf(entry)) {
        expect(conditions).toEqual({
          import: { types: expect.any(String), default: expect.any(String) },
          require: { types: expect.any(String), default: expect.any(String) },
        });
      }
    }
  });

  test("is without a fault for publint and for attw", async () => {
    const installed = join(folder, "node_modules/@easycron/sdk");
    const publint = join(folderOf("publint"), "src/cli.js");
    await run(process.execPath, [publint, installed, "--strict", "--pack", "false"]);
    // node10 is the resolution that knows no entries but the main one. TypeScript 6 has dropped it.
    const attw = join(folderOf("@arethetypeswrong/cli"), "dist/index.js");
    await run(process.execPath, [attw, tarball, "--profile", "node16"]);
  }, 60_000);

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

  test.each(RUNTIMES)(
    "verifies a webhook, receives triggers and makes a client in $name",
    async ({ command, file }) => {
      const { stdout } = await run(command, [file], { cwd: folder });
      expect(stdout).toBe(PRINTED);
    },
  );

  test("makes a bundle for browsers and Workers that does the same without Node's crypto", async () => {
    for (const conditions of [[], ["workerd"]]) {
      await build({
        entryPoints: [join(folder, "program.mjs")],
        outfile: join(folder, "bundle.mjs"),
        bundle: true,
        format: "esm",
        platform: "browser",
        conditions,
      });
      expect(await readFile(join(folder, "bundle.mjs"), "utf8")).not.toMatch(/["']node:/);
      const { stdout } = await run(process.execPath, ["bundle.mjs"], { cwd: folder });
      expect(stdout).toBe(PRINTED);
    }
  });

  test.each([
    ...[
      "index.js",
      "raw.js",
      "webhook.web.js",
      "receiver.web.js",
      "idempotency.js",
      "chain.js",
      "testing.js",
    ],
    ...["adapters/hono.js", "adapters/next.js", "adapters/workers.js"],
  ])("imports no module of Node in %s, so that browsers can load it", async (entry) => {
    const dist = join(folder, "node_modules/@easycron/sdk/dist");
    const read = new Set<string>();
    const packages = new Set<string>();
    const follow = async (path: string): Promise<void> => {
      if (read.has(path)) return;
      read.add(path);
      const code = await readFile(path, "utf8");
      for (const [, target = ""] of code.matchAll(/^[^*\n]* from "([^"]+)";$/gm)) {
        if (target.startsWith(".")) await follow(join(dirname(path), target));
        else packages.add(target.split("/").slice(0, 2).join("/"));
      }
    };
    await follow(join(dist, entry));
    expect(read.size).toBeGreaterThan(entry.startsWith("adapters/") ? 0 : 3);
    for (const name of packages) expect(["@bufbuild/protobuf", "@connectrpc/connect"]).toContain(name);
  });

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
      export const state: "ACTIVE" | "PAUSED" | "DISABLED" | "FINISHED" | "DELETED" | undefined = (await job).state;
      export const cron = (await client.raw.jobs.getJob({ name: "a" })).job?.schedules[0]?.kind.case;
      export const name: string | undefined = verify("", {}, ["whsec_"]).trigger?.job.name;
      export const code: string = EasyCronError.from(1).code;
    `;
    // The same text is an ES module, and a module of CommonJS once its await at the top is gone.
    await writeFile(join(folder, "uses.ts"), uses);
    await writeFile(join(folder, "uses.cts"), uses.replaceAll(/^.*\bawait\b.*$/gm, ""));
    for (const name of ["@bufbuild/protobuf", "@connectrpc/connect"]) {
      await cp(folderOf(name), join(folder, "node_modules", name), { recursive: true });
    }
    const tsc = join(folderOf("typescript"), "bin/tsc");
    const flags = [
      "--noEmit",
      "--strict",
      "--exactOptionalPropertyTypes",
      "--lib",
      "es2022",
      "--skipLibCheck",
    ];
    const check = (...more: string[]) => run(process.execPath, [tsc, ...flags, ...more], { cwd: folder });
    await check("--module", "nodenext", "uses.ts", "uses.cts");
    await check("--module", "preserve", "--moduleResolution", "bundler", "uses.ts");
  }, 60_000);
});
