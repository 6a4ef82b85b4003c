import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findFreePorts } from "../../dev/ports.ts";
import { EasyCron } from "../../sdk/index.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";
import { type Snippet, snippetsOf } from "../support/snippets.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
// The first blocks of the pages. start.test.ts runs `npm start`, and sdk/package.test.ts installs the package.
const ELSEWHERE = /^npm (ci|install) /;
const README = snippetsOf(join(root, "README.md")).filter(isRunHere);
const QUICKSTART = snippetsOf(join(root, "docs/quickstart.md")).filter(isRunHere);
const SDK_README = snippetsOf(join(root, "sdk/README.md")).filter(isRunHere);
/** The first line that both pages have one run. It takes 8 s of CPU time, so it is run once. */
const BUILD = "npm run build -w sdk\n";

function isRunHere({ language, text }: Snippet): boolean {
  return language !== "" && !ELSEWHERE.test(text);
}

const hasCurl = spawnSync("curl", ["--version"]).error === undefined;
if (!hasCurl) console.warn("curl is not installed, so the path of README.md is not followed.");

let project: SharedProject;
let checkout: string;
const running: ChildProcess[] = [];

/** Makes a folder that is like a fresh checkout in which `npm start` runs, so that nothing is written to this one. */
async function makeCheckout(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "easycron-readme-"));
  for (const name of ["package.json", "tsconfig.json"]) await cp(join(root, name), join(folder, name));
  const filter = (path: string) => !/[\\/](dist|node_modules)$/.test(path);
  await cp(join(root, "sdk"), join(folder, "sdk"), { recursive: true, filter });
  const modules = join(folder, "node_modules");
  await mkdir(join(modules, "@easycron"), { recursive: true });
  for (const name of await readdir(join(root, "node_modules"))) {
    if (name !== "@easycron") await symlink(join(root, "node_modules", name), join(modules, name));
  }
  await symlink(join(folder, "sdk"), join(modules, "@easycron/sdk"));
  await mkdir(join(folder, ".easycron"));
  const { url, apiKey, signingSecret } = project;
  await writeFile(join(folder, ".easycron/dev.json"), JSON.stringify({ url, apiKey, signingSecret }));
  return folder;
}

/** Returns the blocks as printed, but for the port of their receiver if another program of this machine uses it. */
async function asPrinted(snippets: readonly Snippet[], port: number): Promise<Snippet[]> {
  const [free = port] = await findFreePorts(1, port);
  return snippets.map((each) => ({ ...each, text: each.text.replaceAll(String(port), String(free)) }));
}

async function save(snippets: readonly Snippet[]): Promise<void> {
  for (const { file, text } of snippets) if (file !== undefined) await writeFile(join(checkout, file), text);
}

/** Starts a program in the checkout. */
function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const options = {
    cwd: checkout,
    env: { PATH, NODE_COMPILE_CACHE, HOME: checkout, ...env },
    detached: true,
  };
  const child = spawn(command, args, options);
  running.push(child);
  let output = "";
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      output += text;
      for (const look of listeners) look();
    });
  }
  const exited = once(child, "close");
  const sees = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((found, fail) => {
      const look = () => {
        const match = pattern.exec(output);
        if (match !== null) found(match);
      };
      listeners.add(look);
      void exited.then(() => fail(new Error(`It ended without ${pattern}:\n${output}`)));
      look();
    });
  return { child, sees };
}

async function runNode(file: string): Promise<string> {
  const { stdout } = await run(process.execPath, [file], { cwd: checkout, env: variables() });
  return stdout;
}

/** The variables that the README sets. */
function variables(): Record<string, string> {
  const { url, apiKey, signingSecret } = project;
  return { EASYCRON_URL: url, EASYCRON_API_KEY: apiKey, EASYCRON_SIGNING_SECRET: signingSecret };
}

beforeAll(async () => {
  project = await joinMesh();
  checkout = await makeCheckout();
});
afterAll(async () => {
  for (const { pid, exitCode } of running) {
    if (pid !== undefined && exitCode === null) process.kill(-pid, "SIGKILL");
  }
  await project.stop();
  await rm(checkout, { recursive: true });
});

test.runIf(hasCurl)("the path of README.md leads to a webhook of one's own", async () => {
  const snippets = await asPrinted(README, 9000);
  const order = ["sh", "receiver.mjs", "sh", "sh", "salaries.mjs", "sh"];
  expect(snippets.map(({ file, language }) => file ?? language)).toEqual(order);
  await save(snippets);
  const [setUp, create, runJob, salaries] = snippets.filter(({ language }) => language === "sh");
  expect(setUp?.text.startsWith(BUILD)).toBe(true);
  const { child, sees } = start("sh", []);
  const paste = (snippet: Snippet | undefined) => child.stdin.write(snippet?.text ?? "");
  paste(setUp);
  paste(create);
  await sees(/"job":\{"name":"hello".*?"state":"JOB_STATE_ACTIVE"/);
  await sees(/hello was due at \S+Z, trg_\w+: \{ greeting: 'good morning' \}/);
  paste(runJob);
  const [, manual = ""] = await sees(/"trigger":\{"id":"(trg_\w+)".*?"kind":"TRIGGER_KIND_MANUAL"/);
  await sees(new RegExp(`hello was due at \\S+Z, ${manual}: `));
  paste(salaries);
  await sees(/salaries was due at \S+Z, trg_\w+: \{ company: 42 \}/);
});

test("docs/quickstart.md leads from nothing to a verified trigger", async () => {
  const snippets = await asPrinted(QUICKSTART, 9002);
  const order = ["sh", "receiver.mjs", "create.mjs", "sh", "ask.mjs"];
  expect(snippets.map(({ file, language }) => file ?? language)).toEqual(order);
  await save(snippets);
  const [setUp, create] = snippets.filter(({ language }) => language === "sh");
  expect(setUp?.text.startsWith(BUILD)).toBe(true);
  const isBuilt = existsSync(join(checkout, "sdk/dist"));
  const { child, sees } = start("sh", []);
  child.stdin.write(`${isBuilt ? setUp?.text.replace(BUILD, "") : setUp?.text}${create?.text}`);
  await sees(/^greeting fires next at \S+Z$/m);
  const [, id = ""] = await sees(/^verified (trg_\w+): greeting says { greeting: 'good morning' }$/m);
  child.stdin.write("node ask.mjs && echo asked\n");
  await sees(new RegExp(`^${id} was due at \\S+Z: (RUNNING|SUCCEEDED)$`, "m"));
  await sees(/^asked$/m);
  await expect(
    new EasyCron({ url: project.url, apiKey: project.apiKey }).jobs.get("greeting"),
  ).resolves.toMatchObject({ state: "PAUSED" });
});

describe("the examples of sdk/README.md", () => {
  let snippets: Snippet[];
  beforeAll(async () => {
    snippets = await asPrinted(SDK_README, 9001);
    await save(snippets);
    if (!existsSync(join(checkout, "sdk/dist"))) {
      await run("npm", ["run", "build", "-w", "sdk"], { cwd: checkout });
    }
  });

  test("create a job, fire it and receive its trigger", async () => {
    expect(snippets.map(({ file }) => file)).toEqual([
      "verify.mjs",
      "invoices.mjs",
      "more.mjs",
      "errors.mjs",
    ]);
    const { sees } = start(process.execPath, ["verify.mjs"], variables());
    const output = await runNode("invoices.mjs");
    expect(output).toMatch(/^fires next at \d{4}-\d\d-\d\dT0[78]:00:00.000Z\nfires now: trg_\w+\n$/);
    const id = /trg_\w+/.exec(output)?.[0];
    await sees(new RegExp(`^${id}: invoices was due at `, "m"));
    const more = await runNode("more.mjs");
    expect(more).toContain(`${id} is `);
    expect(more).toContain("the backfill is SUCCEEDED\nit would deliver ");
    expect(more).toContain('created: [ "report" ]'.replaceAll('"', "'"));
  });

  test("print of an error what the page says", async () => {
    const output = await runNode("errors.mjs");
    expect(readFileSync(join(root, "sdk/README.md"), "utf8")).toContain(`prints \`${output.trimEnd()}\``);
  });

  test("are TypeScript too", async () => {
    const files = snippets.map(({ file = "" }) => file.replace(".mjs", ".mts"));
    await Promise.all(snippets.map(({ text }, index) => writeFile(join(checkout, files[index] ?? ""), text)));
    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--types", "node", "--skipLibCheck"];
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    await run(process.execPath, [tsc, "--ignoreConfig", ...flags, ...files], { cwd: checkout });
  });
});
