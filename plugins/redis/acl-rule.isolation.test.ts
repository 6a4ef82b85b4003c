import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { deliverAll, openClient, openCustomer, openPlugin, setUp, toMessage } from "./testing/ground.ts";
import { ANSWERED, type ProbeSection, REFUSED } from "./testing/probes.ts";

const PAGE = resolve(import.meta.dirname, "../../docs/isolation.md");
const BEGIN = "<!-- The test writes this table: begin -->";
const END = "<!-- The test writes this table: end -->";

/** What the other project's keys hold. No answer may contain it. */
const SECRET = "beta-secret";

describe.runIf(hasRedis())("the credentials of a project", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  const openAdmin = () => openClient(redis.port, { username: "admin", password: "test-admin" });

  async function prepare() {
    const plugin = openPlugin(redis.url);
    for (const projectId of ["proj_alpha", "proj_beta", "proj_alphax"]) {
      await setUp(plugin, projectId);
      const own = openCustomer(redis.port, projectId);
      const app = `${projectId}:app`;
      await own.set(`${app}:k`, "mine");
      await own.set(`${app}:string`, SECRET);
      await own.hset(`${app}:hash`, "f", SECRET);
      await own.rpush(`${app}:list`, SECRET, "v");
      await own.sadd(`${app}:set`, SECRET, "v");
      await own.zadd(`${app}:zset`, 1, SECRET, 2, "m");
      const to = (destination: "stream" | "list" | "key", value: string) =>
        toMessage(`${projectId}${value}`, { destination: { case: destination, value } });
      await deliverAll(plugin, projectId, [to("stream", "orders"), to("list", "queue"), to("key", "latest")]);
      await own.xgroup("CREATE", `${projectId}:orders`, "g", "0");
      await own.subscribe(`${projectId}:c`);
    }
  }

  /** Tries the commands of one line on a connection of its own, and returns the answer to the last. */
  async function attempt(line: string): Promise<{ readonly answer: string; readonly isRefused: boolean }> {
    const client = openCustomer(redis.port, "proj_alpha");
    let last: unknown;
    for (const command of line.split(" ; ")) {
      const [name = "", ...args] = command.split(" ");
      last = await client.call(name, ...args).catch((error: unknown) => error);
    }
    client.disconnect();
    if (!(last instanceof Error)) return { answer: JSON.stringify(last), isRefused: false };
    return { answer: last.message.split(" ")[0] ?? "", isRefused: true };
  }

  /** Returns everything in the server but what changes by itself. */
  async function snapshot(admin: Redis) {
    const keys = (await admin.keys("*")).toSorted();
    const values = await Promise.all(keys.map((key) => admin.dump(key)));
    const users = (await admin.call("ACL", "LIST")) as string[];
    const limit = await admin.config("GET", "maxmemory");
    return { keys, values, users: users.toSorted(), limit };
  }

  async function tryAll(sections: readonly ProbeSection[]) {
    const rows = [];
    for (const { title, tries } of sections) {
      for (const line of tries) rows.push({ title, line, ...(await attempt(line)) });
    }
    return rows;
  }

  test("reach nothing of another project and nothing of the server, as docs/isolation.md shows", async () => {
    await prepare();
    const admin = openAdmin();
    const before = await snapshot(admin);
    const refused = await tryAll(REFUSED);
    expect(refused.filter(({ isRefused }) => !isRefused)).toEqual([]);
    expect(refused.length).toBeGreaterThan(150);
    expect(await snapshot(admin)).toEqual(before);

    const answered = await tryAll(ANSWERED);
    expect(answered.filter(({ isRefused }) => isRefused)).toEqual([]);
    for (const { answer } of [...refused, ...answered]) {
      expect(answer).not.toContain("beta");
      expect(answer).not.toContain("alphax");
    }

    const table = toTable(refused, answered);
    process.stdout.write(`${table}\n`);
    const page = readFileSync(PAGE, "utf8");
    const [head = "", rest = ""] = page.split(BEGIN);
    const [shown = "", tail = ""] = rest.split(END);
    // EASYCRON_WRITE_DOCS=1 writes what was seen into the page.
    if (process.env.EASYCRON_WRITE_DOCS === "1") {
      writeFileSync(PAGE, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`);
    } else expect(shown.trim()).toBe(table);
  }, 60_000);
});

interface Row {
  readonly title: string;
  readonly line: string;
  readonly answer: string;
}

function toTable(refused: readonly Row[], answered: readonly Row[]): string {
  const row = ({ title, line }: Row, answer: string, index: number, all: readonly Row[]) =>
    `| ${all[index - 1]?.title === title ? "" : title} | \`${line.replaceAll("|", "\\|")}\` | ${answer} |`;
  return [
    "| what a user of `proj_alpha` tries | command | answer |",
    "| --- | --- | --- |",
    ...refused.map((each, index) => row(each, `refused: ${each.answer}`, index, refused)),
    ...answered.map((each, index) => row(each, "answered", index, answered)),
  ].join("\n");
}
