import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { OUTPUT_ONLY } from "./output-only.ts";

const FOLDER = new URL("../../proto/easycron/v1/", import.meta.url);

/** The fields that the comments of a proto call output only, as `message.field`. */
function outputOnlyIn(text: string): string[] {
  const found: string[] = [];
  let message = "";
  let isOutputOnly = false;
  for (const line of text.split("\n")) {
    message = /^message (\w+)/.exec(line)?.[1] ?? message;
    const [, comment] = /^ {2}\/\/ (.*)$/.exec(line) ?? [];
    if (comment !== undefined) {
      isOutputOnly ||= /^(?:Output only|Ignored in requests)/.test(comment);
      continue;
    }
    const [, field] = /^ {2}(?:repeated |optional )?[\w.]+ (\w+) = \d+/.exec(line) ?? [];
    if (field !== undefined && isOutputOnly) found.push(`easycron.v1.${message}.${field}`);
    isOutputOnly = false;
  }
  return found;
}

test("the fields that are output only are those of which the protos say so", () => {
  const documented = readdirSync(FOLDER).flatMap((file) =>
    outputOnlyIn(readFileSync(new URL(file, FOLDER), "utf8")),
  );
  const listed = Object.entries(OUTPUT_ONLY).flatMap(([message, fields]) =>
    fields.map((field) => `${message}.${field}`),
  );
  expect(listed.sort()).toEqual(documented.sort());
});
