import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findFreePorts } from "../dev/ports.ts";
import { TEST_SECRET } from "../sdk/testing.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { hasRedis, startTestRedis, type TestRedis } from "./support/redis.ts";
import { snippetsOf } from "./support/snippets.ts";

const root = resolve(import.meta.dirname, "..");

/** How the code of a page is called with a request. `module` is what it exports, `port` where it listens. */
const SERVER = "fetch(new Request('http://127.0.0.1:' + port + '/easycron', request))";
const CALLS: Readonly<Record<string, string>> = {
  hono: "module.default.fetch(request)",
  next: "module.POST(request)",
  workers: "module.default.fetch(request, process.env)",
  lambda: `module.handler({
    headers: Object.fromEntries(request.headers), body: await request.text(), isBase64Encoded: false,
    requestContext: { http: { method: "POST" } },
  }).then(({ statusCode, body }) => new Response(body || null, { status: statusCode }))`,
};

interface Page {
  readonly name: string;
  readonly path: string;
  readonly call: string;
}

const PAGES: readonly Page[] = [
  ...["node", "express", "fastify", "koa", "hono", "next", "lambda", "workers"].map((name) => {
    const call = CALLS[name] ?? SERVER;
    return { name, path: `docs/frameworks/${name}.md`, call };
  }),
  ...(hasRedis() ? ["receiver.mjs"] : []).map(toIdempotency),
  ...["exactly-once.mjs", "chain.mjs"].map(toIdempotency),
];

function toIdempotency(name: string): Page {
  return { name, path: "docs/idempotency.md", call: SERVER };
}

/** What a page's code answered to two deliveries of one trigger, and what it printed. */
interface Result {
  readonly statuses: readonly number[];
  readonly replayed: string | null;
  readonly printed: readonly string[];
}

let folder: string;
let database: TestDatabase;
let redis: TestRedis | undefined;

/** Makes a folder in which the package and its peers are installed. Its code is the sources, so nothing is built. */
async function makeFolder(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), "easycron-pages-"));
  const modules = join(folder, "node_modules");
  await mkdir(join(modules, "@easycron"), { recursive: true });
  for (const name of await readdir(join(root, "node_modules"))) {
    if (name !== "@easycron") await symlink(join(root, "node_modules", name), join(modules, name));
  }
  const { exports } = JSON.parse(await readFile(join(root, "sdk/package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  const sdk = join(folder, "sdk");
  await mkdir(sdk);
  const own: Record<string, string> = {};
  for (const [path, target] of Object.entries(exports)) {
    const file = /"\.\/dist\/([\w/-]+)\.js"/.exec(JSON.stringify(target))?.[1];
    if (file === undefined) continue;
    own[path] = `./${file.replaceAll("/", "-")}.js`;
    const source = pathToFileURL(join(root, "sdk", `${file}.ts`)).href;
    await writeFile(join(sdk, own[path]), `export * from "${source}";\n`);
  }
  await writeFile(join(sdk, "package.json"), JSON.stringify({ type: "module", exports: own }));
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await symlink(sdk, join(modules, "@easycron/sdk"));
}

/** Saves the code of a page as it is printed, but for its port. Returns what the driver needs. */
async function save({ name, path, call }: Page) {
  const snippets = snippetsOf(join(root, path)).filter(({ file }) => file !== undefined);
  const { file = "", text = "" } = snippets.find((each) => each.file === name) ?? snippets[0] ?? {};
  const port = Number(/\b91\d\d\b/.exec(text)?.[0] ?? 0);
  const [free = 0] = port === 0 ? [] : await findFreePorts(1, port);
  const saved = join(folder, name.replace(".", "-"), file);
  await mkdir(dirname(saved), { recursive: true });
  await writeFile(saved, text.replaceAll(String(port), String(free)));
  return { name, url: pathToFileURL(saved).href, port: free, call };
}

async function run(file: string): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    EASYCRON_SIGNING_SECRET: TEST_SECRET,
    REDIS_URL: redis?.url,
    DATABASE_URL: database.url(),
  };
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, env });
  return stdout;
}

beforeAll(async () => {
  [database, redis] = await Promise.all([
    createDatabase(),
    hasRedis() ? startTestRedis() : undefined,
    makeFolder(),
  ]);
});
afterAll(async () => {
  await database.drop();
  await redis?.stop();
  await rm(folder, { recursive: true });
});

describe("the code of docs/frameworks and docs/idempotency.md", () => {
  let results: Record<string, Result>;

  beforeAll(async () => {
    const pages = [];
    for (const page of PAGES) pages.push(await save(page));
    const blocks = pages.map(
      ({ name, url, port, call }) => `{
        const printed = [];
        console.log = (line) => void printed.push(line);
        const module = await import("${url}");
        const port = ${port};
        if (port !== 0) await untilListening(port);
        const deliver = async () => {
          const signed = signTrigger({ job: "payroll", nominalTime: "2027-01-01T09:00:00Z" });
          const request = signed.request("http://localhost/easycron");
          return ${call};
        };
        const [first, second] = [await deliver(), await deliver()];
        results["${name}"] = {
          statuses: [first.status, second.status], replayed: second.headers.get("idempotent-replayed"), printed,
        };
      }`,
    );
    const driver = `
      import { connect } from "node:net";
      import { setTimeout } from "node:timers/promises";
      import { signTrigger } from "@easycron/sdk/testing";
      const results = {};
      const isListening = (port) => new Promise((done) => {
        const socket = connect(port, "127.0.0.1", () => done(true)).on("error", () => done(false));
        socket.on("connect", () => socket.destroy());
      });
      const untilListening = async (port) => { while (!(await isListening(port))) await setTimeout(5); };
      ${blocks.join("\n")}
      process.stdout.write(JSON.stringify(results), () => process.exit());
    `;
    await writeFile(join(folder, "driver.mjs"), driver);
    results = JSON.parse(await run("driver.mjs"));
  }, 60_000);

  test.each(PAGES.filter(({ path }) => path.includes("frameworks")))(
    "receives a trigger, as printed: $name",
    ({ name }) => {
      expect(results[name]).toEqual({
        statuses: [204, 204],
        replayed: null,
        printed: Array(2).fill("payroll was due at 2027-01-01T09:00:00.000Z"),
      });
    },
  );

  test.each(PAGES.filter(({ path }) => !path.includes("frameworks")))(
    "does the work once, as printed: $name",
    ({ name }) => {
      const { statuses, replayed, printed } = results[name] ?? {};
      const status = name === "receiver.mjs" ? 200 : 204;
      expect({ statuses, replayed }).toEqual({ statuses: [status, status], replayed: "true" });
      if (name !== "exactly-once.mjs")
        expect(printed).toEqual(["payroll was due at 2027-01-01T09:00:00.000Z"]);
    },
  );

  test("is all run here", async () => {
    const pages = (await readdir(join(root, "docs/frameworks"))).map((name) => `docs/frameworks/${name}`);
    const blocks = [...pages, "docs/idempotency.md"].flatMap((path) => snippetsOf(join(root, path)));
    // docs/frameworks/testing.md is run below.
    expect(blocks).toHaveLength(8 + 3 + 1);
  });
});

test("the code of docs/frameworks/testing.md prints what its comments say", async () => {
  const [{ text = "", file = "" } = {}] = snippetsOf(join(root, "docs/frameworks/testing.md"));
  await writeFile(join(folder, file), text);
  const comments = [...text.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, comment]) => comment);
  expect(comments).toHaveLength(2);
  expect((await run(file)).trimEnd().split("\n")).toEqual(comments);
});
