import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { describe, expect, test } from "vitest";
import { file_easycron_v1_calendar_service as calendars } from "../gen/easycron/v1/calendar_service_pb.ts";
import { file_easycron_v1_job_batch as batches } from "../gen/easycron/v1/job_batch_pb.ts";
import { file_easycron_v1_job_service as jobs } from "../gen/easycron/v1/job_service_pb.ts";
import { file_easycron_v1_ledger_service as ledger } from "../gen/easycron/v1/ledger_service_pb.ts";
import { file_easycron_v1_operation as operations } from "../gen/easycron/v1/operation_pb.ts";
import { file_easycron_v1_revision as revisions } from "../gen/easycron/v1/revision_pb.ts";
import { file_easycron_v1_schedule_service as schedules } from "../gen/easycron/v1/schedule_service_pb.ts";
import { file_easycron_v1_trigger_service as triggers } from "../gen/easycron/v1/trigger_service_pb.ts";

const docs = fileURLToPath(new URL("../docs/", import.meta.url));
const messages = new Map<string, DescMessage>(
  [calendars, jobs, batches, ledger, operations, revisions, schedules, triggers].flatMap((file) =>
    file.messages.map((message): [string, DescMessage] => [message.typeName, message]),
  ),
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
