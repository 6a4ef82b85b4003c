import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { encode } from "./encode.ts";
import { createSamples, readServices } from "./testing/api.ts";
import { compile, readPublicSymbols } from "./testing/public-symbols.ts";

const root = dirname(import.meta.dirname);
const FRAMEWORKS = ["express", "fastify", "hono", "koa", "lambda", "next", "workers"];
const ENTRIES = [
  ...["index", "webhook", "receiver", "idempotency", "chain", "redis", "kafka", "testing"],
  ...FRAMEWORKS.map((name) => `adapters/${name}`),
];
const symbols = readPublicSymbols(ENTRIES);
const examples = symbols
  .flatMap(({ name, examples: codes }) =>
    codes.map((code, index) => ({ name, code, file: `${name.replaceAll(/\W+/g, "-")}-${index}.ts` })),
  )
  // Some symbols are exported from several entries.
  .filter(({ code }, index, all) => all.findIndex((each) => each.code === code) === index);
// Vitest and the compiler find the packages from here, because it is in the repository.
const folder = join(root, "node_modules/.cache/easycron-examples", String(process.pid));

/**
 * Completes an example to a module: imports what it uses, first from its own entry, and makes the client. Pages say
 * `import` once at their top.
 */
function toModule(own: string, code: string): string {
  const imported = new Set<string>();
  const imports = [own, ...ENTRIES.filter((entry) => entry !== own)].map((entry) => {
    const names = symbols
      .filter(({ name, runs }) => runs && name.startsWith(`${entry}: `) && !name.includes("."))
      .map(({ name }) => name.slice(entry.length + 2))
      .filter((name) => !imported.has(name) && new RegExp(`\\b${name}\\b`).test(`${code} EasyCron`));
    for (const name of names) imported.add(name);
    return names.length === 0 ? "" : `import { ${names.join(", ")} } from "${root}/sdk/${entry}.ts";\n`;
  });
  const isDeclared = /\b(const|let) easycron\b/.test(code) || !code.includes("easycron.");
  return `${imports.join("")}${isDeclared ? "" : "const easycron = new EasyCron();\n"}${code}\nexport {};\n`;
}

/** Changes an answer so that no list has a next page and no operation goes on, which would never end. */
function endOf(answer: Record<string, unknown>): Record<string, unknown> {
  if ("nextPageToken" in answer) answer.nextPageToken = "";
  const { operation } = answer;
  if (typeof operation === "object") Object.assign(operation ?? {}, { state: "SUCCEEDED" });
  return answer;
}

const calls: string[] = [];
const services = await readServices();
const api = createServer(
  connectNodeAdapter({
    routes: (router) => {
      for (const service of services) {
        const handlers = service.methods.map((method) => [
          method.localName,
          () => {
            calls.push(`${service.name}/${method.name}`);
            return encode(method.output, endOf(createSamples().of(method.output)));
          },
        ]);
        router.service(service, Object.fromEntries(handlers));
      }
    },
  }),
);

beforeAll(async () => {
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  vi.stubEnv("EASYCRON_URL", `http://127.0.0.1:${(api.address() as AddressInfo).port}`);
  vi.stubEnv("EASYCRON_API_KEY", "ec_test_example");
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  await mkdir(folder, { recursive: true });
  await Promise.all(
    examples.map(({ name, file, code }) =>
      writeFile(join(folder, file), toModule(name.split(":")[0] ?? "", code)),
    ),
  );
});
afterAll(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  api.close();
  await rm(folder, { recursive: true });
});

describe("the public symbols", () => {
  test("are found", () => {
    const names = symbols.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "index: Job",
        "index: EasyCron.jobs.get",
        "webhook: verify",
        ...["receiver: createReceiver", "idempotency: once", "chain: checkChain", "redis: consumeStream"],
        ...["kafka: eachTrigger", "testing: signTrigger", "adapters/express: toExpress"],
      ]),
    );
  });

  test("all have a description", () => {
    expect(symbols.filter(({ description }) => description === "").map(({ name }) => name)).toEqual([]);
  });

  test("that run all have an example", () => {
    const without = symbols.filter((symbol) => symbol.runs && symbol.examples.length === 0);
    expect(without.map(({ name }) => name)).toEqual([]);
  });
});

describe("the examples", () => {
  test("compile", () => {
    expect(compile(examples.map(({ file }) => join(folder, file)))).toEqual([]);
  }, 120_000);

  test.each(examples)("of $name runs", async ({ name, code, file }) => {
    calls.length = 0;
    await import(/* @vite-ignore */ join(folder, file));
    if (/await .*easycron\./.test(code)) expect(calls.length, name).toBeGreaterThan(0);
  });
});
