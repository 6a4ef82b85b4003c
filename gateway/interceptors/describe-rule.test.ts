import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { expect, test } from "vitest";
import { type FieldRules, field as rulesOption } from "../../gen/buf/validate/validate_pb.ts";
import { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { CalendarService, CreateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { ApplyJobsRequestSchema, BatchDeleteJobsRequestSchema } from "../../gen/easycron/v1/job_batch_pb.ts";
import {
  CreateJobRequestSchema,
  JobService,
  ListJobsRequestSchema,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "../../gen/easycron/v1/operation_service_pb.ts";
import { PluginService } from "../../gen/easycron/v1/plugin_service_pb.ts";
import { ProjectService } from "../../gen/easycron/v1/project_service_pb.ts";
import { GetRevisionRequestSchema } from "../../gen/easycron/v1/revision_pb.ts";
import { ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import { SystemService } from "../../gen/easycron/v1/system_service_pb.ts";
import { GetTriggerRequestSchema, TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { PATTERN_WORDS } from "./describe-rule.ts";
import { describeViolation } from "./describe-violation.ts";

const services = [
  ApiKeyService,
  CalendarService,
  JobService,
  LedgerService,
  OperationService,
  PluginService,
  ProjectService,
  ScheduleService,
  SigningKeyService,
  SystemService,
  TriggerService,
];

/** The patterns of a message's fields, however deep. */
function patternsIn(schema: DescMessage, seen = new Set<DescMessage>()): string[] {
  if (seen.has(schema)) return [];
  seen.add(schema);
  const nested = (field: DescField) => (field.message === undefined ? [] : patternsIn(field.message, seen));
  return schema.fields.flatMap((field) => [...patternsOf(getOption(field, rulesOption)), ...nested(field)]);
}

function patternsOf(rules: FieldRules | undefined): string[] {
  switch (rules?.type.case) {
    case "string":
      return rules.type.value.pattern === "" ? [] : [rules.type.value.pattern];
    case "repeated":
      return patternsOf(rules.type.value.items);
    case "map":
      return [...patternsOf(rules.type.value.keys), ...patternsOf(rules.type.value.values)];
    default:
      return [];
  }
}

test("every pattern of the public API has words, and no words are left over", () => {
  const inputs = services.flatMap(({ methods }) => methods.map(({ input }) => input));
  const patterns = new Set(inputs.flatMap((input) => patternsIn(input)));
  expect([...patterns].sort()).toEqual(Object.keys(PATTERN_WORDS).sort());
});

const validator = createValidator();

function describe<S extends DescMessage>(schema: S, init: MessageInitShape<S>): string[] {
  const message = create(schema, init);
  const violations = validator.validate(schema, message).violations ?? [];
  return violations.map((violation) => describeViolation(violation, schema, message));
}

test("a broken rule of a job is described in words, with the value", () => {
  const headers = { "a b": "1", c: "ü" };
  const kind = {
    case: "webhook",
    value: { url: `https://${"x".repeat(2_041)}`, method: "GET", headers },
  } as const;
  const job = {
    name: "My Job",
    target: { kind },
    attemptTimeout: { seconds: 2_000n },
    maxFires: -1,
    calendars: [{ name: "" }],
  };
  expect(describe(CreateJobRequestSchema, { requestId: "ö", job })).toEqual([
    'Must be 1 to 63 characters: lower-case letters, digits, `.` `_` `-`; the first and the last a letter or digit; it is "My Job".',
    `Must have at most 2048 characters; it has 2049: "https://${"x".repeat(91)}…".`,
    'Must be one of POST, PUT, PATCH; it is "GET".',
    "Must be a header name: 1 to 128 characters, letters, digits and any of ! # $ % & ' * + . ^ _ ` | ~ -.",
    'Must consist of printable ASCII characters, spaces and tabs; it is "ü".',
    'Must be from 1s to 1800s; it is "2000s".',
    "Must be from 0 to 1000000000; it is -1.",
    "It is required; accepted: a text.",
    'Must be at most 128 printable ASCII characters, without spaces; it is "ö".',
  ]);
});

test("a broken rule of a list, a map, a number or bytes is described in words, with the size", () => {
  expect(describe(ListJobsRequestSchema, { pageSize: 501 })).toEqual(["Must be from 0 to 500; it is 501."]);
  expect(describe(BatchDeleteJobsRequestSchema, {})).toEqual(["Must not be empty; it has 0."]);
  expect(describe(BatchDeleteJobsRequestSchema, { names: ["a", "a"] })).toEqual([
    "Must not have the same item twice.",
  ]);
  expect(describe(ApplyJobsRequestSchema, {})).toEqual(["Must not be empty; it has 0."]);
  expect(describe(GetRevisionRequestSchema, { name: "a" })).toEqual(["Must be at least 1; it is 0."]);
  expect(describe(GetTriggerRequestSchema, { id: "7" })).toEqual([
    'Must be a trigger id: "trg_" and 26 characters, digits and lower-case letters without i, l, o, u; it is "7".',
  ]);
  const icalendar = "x".repeat(262_145);
  expect(describe(CreateCalendarRequestSchema, { calendar: { name: "a", icalendar } })).toEqual([
    `Must have at most 262144 bytes; it has 262145: "${"x".repeat(99)}…".`,
  ]);
});
