import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

/** Runs the project's import rules over a planted tree and returns the names of the rules it breaks. */
async function brokenRules(files: Record<string, string>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "easycron-imports-"));
  folders.push(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ extends: join(root, "tsconfig.json") }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const script = join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs");
  const config = join(root, ".dependency-cruiser.mjs");
  const rooms = [...new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""))].filter(
    (room) => room !== "node_modules",
  );
  const run = promisify(execFile)(
    process.execPath,
    [script, "--config", config, "--output-type", "json", ...rooms],
    {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  const report = JSON.parse(stdout) as { summary: { violations: { rule: { name: string } }[] } };
  return [...new Set(report.summary.violations.map((violation) => violation.rule.name))].sort();
}

const LEAF = "export const leaf = 1;\n";
const pkg = (name: string) => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, type: "module", exports: "./index.js" }),
  [`node_modules/${name}/index.js`]: LEAF,
});
const reexport = (path: string) => `export { leaf } from "${path}";\n`;

describe("the import rules", () => {
  test("let a clean tree pass", async () => {
    const files = { "scheduler/a.ts": reexport("../mesh/b.ts"), "mesh/b.ts": LEAF };
    expect(await brokenRules(files)).toEqual([]);
  });

  test.each([
    [
      "plugins reaches the database, two hops away",
      "data-plane-reaches-no-control",
      {
        "plugins/a.ts": reexport("../mesh/b.ts"),
        "mesh/b.ts": reexport("../db/c.ts"),
        "db/c.ts": LEAF,
      },
    ],
    [
      "plugins imports pg",
      "data-plane-reaches-no-control",
      {
        "plugins/a.ts": reexport("pg"),
        ...pkg("pg"),
      },
    ],
    [
      "the dispatcher loads a plugin, two hops away",
      "control-plane-reaches-no-broker",
      {
        "dispatcher/a.ts": reexport("./b.ts"),
        "dispatcher/b.ts": reexport("../plugins/c.ts"),
        "plugins/c.ts": LEAF,
      },
    ],
    [
      "one service imports another",
      "scheduler-is-reached-by-grpc",
      {
        "gateway/a.ts": reexport("../scheduler/b.ts"),
        "scheduler/b.ts": LEAF,
      },
    ],
    [
      "mesh knows a room",
      "floor-knows-no-room",
      { "mesh/a.ts": reexport("../gateway/b.ts"), "gateway/b.ts": LEAF },
    ],
    ["mesh knows storage", "mesh-knows-no-storage", { "mesh/a.ts": reexport("../db/b.ts"), "db/b.ts": LEAF }],
    ["cron uses Node", "cron-is-pure", { "cron/a.ts": 'export { hash as leaf } from "node:crypto";\n' }],
    [
      "the SDK imports from outside",
      "sdk-stands-alone",
      { "sdk/a.ts": reexport("../gen/b.ts"), "gen/b.ts": LEAF },
    ],
    [
      "production imports a test",
      "production-imports-no-test",
      {
        "scheduler/a.ts": reexport("./b.test.ts"),
        "scheduler/b.test.ts": LEAF,
      },
    ],
    ["pg outside db", "pg-has-a-home", { "scheduler/a.ts": reexport("pg"), ...pkg("pg") }],
    [
      "undici outside its homes",
      "undici-has-a-home",
      { "gateway/a.ts": reexport("undici"), ...pkg("undici") },
    ],
    [
      "modules that need each other",
      "no-cycles",
      {
        "scheduler/a.ts": 'import { b } from "./b.ts";\nexport const a = () => b;\n',
        "scheduler/b.ts": 'import { a } from "./a.ts";\nexport const b = () => a;\n',
      },
    ],
  ])("catch it when %s", async (_name, rule, files) => {
    expect(await brokenRules(files as Record<string, string>)).toContain(rule);
  });
});
