import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DescEnum } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { JobStateSchema } from "../gen/easycron/v1/job_pb.ts";
import { OperationStateSchema } from "../gen/easycron/v1/operation_pb.ts";
import { PluginStateSchema } from "../gen/easycron/v1/plugin_pb.ts";
import { SigningKeyStateSchema } from "../gen/easycron/v1/signing_key_service_pb.ts";
import { AttemptOutcomeSchema, TriggerStateSchema } from "../gen/easycron/v1/trigger_pb.ts";

const root = resolve(import.meta.dirname, "..");

/** Returns the names of an enum's values without their prefix, and without UNSPECIFIED. */
function namesOf(schema: DescEnum): string[] {
  const names = schema.values.map((value) =>
    value.name.slice((schema.sharedPrefix ?? "").length).toUpperCase(),
  );
  return names.filter((name) => name !== "UNSPECIFIED").sort();
}

/** Returns the first column of the table below a heading of docs/states.md. */
async function documented(heading: string): Promise<string[]> {
  const text = await readFile(join(root, "docs/states.md"), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| ([A-Z_]+) \|/gm)].map((match) => match[1] ?? "").sort();
}

/** Returns the values that the latest CHECK on a column allows, according to the migrations. */
async function checked(table: string, column: string): Promise<string[]> {
  const folder = join(root, "db/migrations");
  const files = (await readdir(folder)).sort();
  const text = (await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")))).join("\n");
  const body = text.split(`create table ${table} (`)[1]?.split("\n)")[0] ?? "";
  const made = new RegExp(`^ *${column} text not null check \\(${column} in \\(([^)]*)\\)\\)`, "m").exec(
    body,
  );
  const changes = text
    .split(`alter table ${table}\n`)
    .slice(1)
    .map((part) => part.split(";\n")[0] ?? "");
  const changed = changes.map((part) =>
    new RegExp(`add constraint \\w+ check \\(${column} in \\(([^)]*)\\)\\)`).exec(part),
  );
  const list = [made, ...changed].findLast((match) => match !== null)?.[1] ?? "";
  return [...list.matchAll(/'([A-Z_]+)'/g)].map((match) => match[1] ?? "").sort();
}

describe("docs/states.md, the protos and the schema have the same states of", () => {
  test.each([
    ["Job", JobStateSchema, "scheduler.jobs", "state"],
    ["Trigger", TriggerStateSchema, "dispatcher.triggers", "state"],
    ["Operation", OperationStateSchema, "scheduler.operations", "state"],
    ["Plugin", PluginStateSchema, "gateway.plugins", "state"],
    ["Attempt", AttemptOutcomeSchema, "dispatcher.attempts", "outcome"],
  ] as const)("%s", async (heading, schema, table, column) => {
    const names = namesOf(schema);
    expect(names.length).toBeGreaterThan(2);
    expect(await documented(heading)).toEqual(names);
    expect(await checked(table, column)).toEqual(names);
  });
});

test("docs/states.md and the protos have the same states of a signing key, which no column has", async () => {
  const names = namesOf(SigningKeyStateSchema);
  expect(names.length).toBeGreaterThan(2);
  expect(await documented("Signing key")).toEqual(names);
});
