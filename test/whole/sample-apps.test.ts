import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderOf, installPackage } from "../../sdk/testing/installed-package.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

/** An app of a customer: how it serves the receiver on a free port, and whether it is an ES module. */
interface App {
  readonly name: string;
  readonly kind: "mjs" | "cjs";
  readonly command?: string;
  /** Declares `port`. `receiver` is declared before. */
  readonly serve: string;
  /** What the app loads besides the client and the receiver, by its package. */
  readonly loads: Readonly<Record<string, string>>;
}

const NODE = `
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();`;
// As the servers of Hono and Next.js do in Node.
const WEB = `
  const listener = async (incoming, outgoing) => {
    const { method, headers } = incoming;
    const request = new Request("http://localhost" + incoming.url, { method, headers, body: incoming, duplex: "half" });
    const response = await handle(request);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
  };${NODE}`;
const EXPRESS = `
  const app = express();
  app.post("/easycron", toExpress(receiver));
  app.use(express.json());
  const listener = app;${NODE}`;

const APPS: readonly App[] = [
  { name: "http", kind: "mjs", loads: {}, serve: `const listener = receiver.node;${NODE}` },
  { name: "http-required", kind: "cjs", loads: {}, serve: `const listener = receiver.node;${NODE}` },
  {
    ...{ name: "express", kind: "mjs", serve: EXPRESS },
    loads: { express: "express", "{ toExpress }": "@easycron/sdk/express" },
  },
  {
    ...{ name: "express-required", kind: "cjs", serve: EXPRESS },
    loads: { express: "express", "{ toExpress }": "@easycron/sdk/express" },
  },
  {
    ...{ name: "fastify", kind: "mjs" },
    loads: { Fastify: "fastify", "{ toFastify }": "@easycron/sdk/fastify" },
    serve: `
      const app = Fastify();
      app.register(toFastify(receiver), { prefix: "/easycron" });
      const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));`,
  },
  {
    ...{ name: "hono", kind: "mjs" },
    loads: { "{ Hono }": "hono", "{ toHono }": "@easycron/sdk/hono" },
    serve: `const handle = new Hono().post("/easycron", toHono(receiver)).fetch;${WEB}`,
  },
  {
    ...{ name: "next", kind: "mjs" },
    loads: { "{ toNext }": "@easycron/sdk/next" },
    serve: `const { POST: handle } = toNext(receiver);${WEB}`,
  },
];
const hasBun = spawnSync("bun", ["--version"]).error === undefined;
const RUN: readonly App[] = hasBun
  ? [
      ...APPS,
      {
        name: "bun",
        kind: "mjs",
        command: "bun",
        loads: {},
        serve: `const listener = receiver.node;${NODE}`,
      },
    ]
  : APPS;

/** Returns the program of an app. It creates a job that calls it, and runs the job once. */
function programOf({ name, kind, serve, loads }: App): string {
  const all = {
    "{ once }": "node:events",
    "{ createServer }": "node:http",
    "{ EasyCron, webhook }": "@easycron/sdk",
    "{ memoryStore }": "@easycron/sdk/idempotency",
    "{ createReceiver }": "@easycron/sdk/receiver",
    ...loads,
  };
  const lines = Object.entries(all).map(([names, from]) =>
    kind === "mjs" ? `import ${names} from "${from}";` : `const ${names} = require("${from}");`,
  );
  return `
    ${lines.join("\n    ")}
    const print = (event) => console.log(JSON.stringify(event));
    const receiver = createReceiver({
      secrets: process.env.EASYCRON_SIGNING_SECRET,
      store: memoryStore(),
      onTrigger: ({ trigger, payload }) => print({ received: trigger, payload }),
    });
    async function main() {
      ${serve}
      const easycron = new EasyCron();
      const target = webhook("http://127.0.0.1:" + port + "/easycron");
      await easycron.jobs.create({ name: "${name}", target, payload: { app: "${name}" } });
      const { id } = await easycron.jobs.run("${name}");
      print({ ran: id });
    }
    main();`;
}

let folder: string;
let project: SharedProject;
const running: ChildProcess[] = [];

beforeAll(async () => {
  const [installed, joined, made] = await Promise.all([
    installPackage(),
    joinMesh(),
    mkdtemp(join(tmpdir(), "easycron-apps-")),
  ]);
  project = joined;
  folder = made;
  await cp(installed.folder, folder, { recursive: true });
  for (const name of ["express", "fastify", "hono"]) {
    await symlink(folderOf(name), join(folder, "node_modules", name));
  }
}, 120_000);
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await project?.stop();
  await rm(folder, { recursive: true });
});

/** Runs an app until it has run its job and received the trigger. */
async function runApp(app: App): Promise<{ ran?: string; received?: string; payload?: unknown }> {
  const file = `${app.name}.${app.kind}`;
  await writeFile(join(folder, file), programOf(app));
  const { url, apiKey, signingSecret } = project;
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    EASYCRON_URL: url,
    EASYCRON_API_KEY: apiKey,
    EASYCRON_SIGNING_SECRET: signingSecret,
  };
  const child = spawn(app.command ?? process.execPath, [file], { cwd: folder, env });
  running.push(child);
  let errors = "";
  child.stderr.on("data", (text: Buffer) => {
    errors += text;
  });
  const seen: { ran?: string; received?: string; payload?: unknown } = {};
  for await (const line of createInterface({ input: child.stdout })) {
    Object.assign(seen, JSON.parse(line));
    if (seen.ran !== undefined && seen.received !== undefined) return seen;
  }
  await once(child, "close");
  throw new Error(`${file} ended:\n${errors}`);
}

test("apps that installed the package create a job, and receive its trigger: Express, Fastify, Hono, Next.js, require", async () => {
  const results = await Promise.all(RUN.map(runApp));
  for (const [index, { ran, received, payload }] of results.entries()) {
    expect(received, RUN[index]?.name).toBe(ran);
    expect(payload).toEqual({ app: RUN[index]?.name });
  }
});
