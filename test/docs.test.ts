import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { describe, expect, test } from "vitest";
import { file_easycron_v1_api_key_service as apiKeys } from "../gen/easycron/v1/api_key_service_pb.ts";
import { file_easycron_v1_calendar_service as calendars } from "../gen/easycron/v1/calendar_service_pb.ts";
import { file_easycron_v1_job_batch as batches } from "../gen/easycron/v1/job_batch_pb.ts";
import { file_easycron_v1_job_service as jobs } from "../gen/easycron/v1/job_service_pb.ts";
import { file_easycron_v1_ledger_service as ledger } from "../gen/easycron/v1/ledger_service_pb.ts";
import { file_easycron_v1_operation as operations } from "../gen/easycron/v1/operation_pb.ts";
import { file_easycron_v1_plugin_service as plugins } from "../gen/easycron/v1/plugin_service_pb.ts";
import { file_easycron_v1_project_service as projects } from "../gen/easycron/v1/project_service_pb.ts";
import { file_easycron_v1_revision as revisions } from "../gen/easycron/v1/revision_pb.ts";
import { file_easycron_v1_schedule_service as schedules } from "../gen/easycron/v1/schedule_service_pb.ts";
import { file_easycron_v1_signing_key_service as signingKeys } from "../gen/easycron/v1/signing_key_service_pb.ts";
import { file_easycron_v1_trigger_service as triggers } from "../gen/easycron/v1/trigger_service_pb.ts";

const docs = fileURLToPath(new URL("../docs/", import.meta.url));
const messages = new Map<string, DescMessage>(
  [
    ...[apiKeys, calendars, jobs, batches, ledger, operations, plugins, revisions, schedules, signingKeys],
    ...[projects, triggers],
  ].flatMap((file) => file.messages.map((message): [string, DescMessage] => [message.typeName, message])),
);
const BLOCK = /^```json (\S+)\n([\s\S]*?)^```$/gm;
const blocks = readdirSync(docs)
  .filter((name) => name.endsWith(".md"))
  .flatMap((name) =>
    [...readFileSync(`${docs}${name}`, "utf8").matchAll(BLOCK)].map(([, type = "", text = ""], index) => ({
      title: `${name} ${index + 1}: ${type}`,
      type,
      text,
    })),
  );

describe("the requests shown in docs/", () => {
  test("are found by this test", () => expect(blocks.length).toBeGreaterThan(15));

  test.each(blocks)("are valid messages of the API: $title", ({ type, text }) => {
    const schema = messages.get(type);
    if (schema === undefined) throw new Error(`The API has no message ${type}.`);
    const message = fromJson(schema, JSON.parse(text) as JsonValue);
    expect(createValidator().validate(schema, message)).toMatchObject({ kind: "valid" });
  });
});

const root = fileURLToPath(new URL("../", import.meta.url));
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules")
  .map(({ name }) => name);
const files = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => !name.includes("node_modules"))
    .map((name) => `${folder}/${name}`),
);
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...files.filter((file) => isPage(file))];

function isPage(file: string): boolean {
  return /^docs\/.+\.md$|^[^/]+\/README\.md$/.test(file);
}

/** The text of a page without its blocks of code. */
function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
}

/** The names of files in backticks, such as `cron/next.ts`, `tick.ts` in a service's README, or `lint*.ts`. */
function namedFiles(page: string): string[] {
  const names = [...textOf(page).matchAll(/`([\w./*-]+\.(?:ts|md|sql|proto|yaml))`/g)].map(
    (match) => match[1] ?? "",
  );
  const inRepository = (name: string): boolean => [...folders, "*"].includes(name.split("/")[0] ?? "");
  // A bare name on a page of the whole repository is an example, as `app.ts` is.
  const isGlobal = !page.includes("/") || page.startsWith("docs/");
  return isGlobal ? names.filter((name) => name.includes("/") && inRepository(name)) : names;
}

/** Whether a name, with `*` for any part of a file name, is that of a file: of the repository, or below the page's folder. */
function isFile(page: string, name: string): boolean {
  const pattern = name.replaceAll(".", "\\.").replaceAll("*", "[^/]*");
  const exact = new RegExp(`^${pattern}$`);
  const below = new RegExp(`^${dirname(page)}/(?:.*/)?${pattern}$`);
  return files.some((file) => exact.test(file) || below.test(file));
}

describe.each(pages)("%s", (page) => {
  test("names only files that exist", () => {
    expect(namedFiles(page).filter((name) => !isFile(page, name))).toEqual([]);
  });

  test("links only to files and folders that exist", () => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? "");
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
  });
});

describe("docs/operations.md", () => {
  const section = (service: string) =>
    textOf("docs/operations.md").split(`| log line of the ${service} |`)[1] ?? "";
  const linesOf = (service: string) =>
    [...(section(service).split("\n\n")[0] ?? "").matchAll(/^\| `([^`]+)` \|/gm)].map(
      ([, line = ""]) => line,
    );

  test.each(["scheduler", "dispatcher"])("quotes log lines that the %s writes", (service) => {
    const sources = files.filter((file) => file.startsWith(`${service}/`) && /(?<!\.test)\.ts$/.test(file));
    const code = sources.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
    expect(linesOf(service)).not.toEqual([]);
    expect(linesOf(service).filter((line) => !code.includes(line))).toEqual([]);
  });
});

test("docs/guarantees.md quotes titles that its tests have", () => {
  const quotes = [...textOf("docs/guarantees.md").matchAll(/`([\w./-]+\.test\.ts)` "([^"]+)"/g)];
  const missing = quotes.filter(
    ([, file = "", title = ""]) => !readFileSync(join(root, file), "utf8").includes(`"${title}"`),
  );
  expect(quotes).not.toEqual([]);
  expect(missing.map(([quote]) => quote)).toEqual([]);
});
