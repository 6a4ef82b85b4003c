import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  DeliverRequestSchema,
  MeasureUsageRequestSchema,
  type MessageSchema,
  ProvisionRequestSchema,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { checkBatch, checkMeasure, checkProvision } from "./request-rules.ts";

const redis = { kind: { case: "redis" as const, value: {} } };
const kafka = { kind: { case: "kafka" as const, value: {} } };
const message = { triggerId: "trg_1", target: redis, guard: "g", guardTtlMs: 1n };

const check = (messages: MessageInitShape<typeof MessageSchema>[], projectId = "proj_1") =>
  checkBatch(create(DeliverRequestSchema, { projectId, messages }));

describe("the rules of a request", () => {
  test("give the kind of a batch", () => {
    expect(check([message])).toBe(PluginKind.REDIS);
    expect(check([{ ...message, target: kafka }])).toBe(PluginKind.KAFKA);
  });

  test.each([
    ["no message", [], "messages: The batch has 0 messages; it must have 1 to 1000."],
    ["1,001 messages", Array.from({ length: 1_001 }, () => message), "The batch has 1001 messages"],
    ["two kinds", [message, { ...message, target: kafka }], "messages[1].target: The target is kafka"],
    ["no target", [{ ...message, target: {} }], "messages[0].target: The target is not set"],
    ["no trigger", [{ ...message, triggerId: "" }], "messages[0].trigger_id"],
    ["no guard", [{ ...message, guard: "" }], "messages[0].guard:"],
    ["a guard that ends at once", [{ ...message, guardTtlMs: 0n }], "messages[0].guard_ttl_ms: 0 must be 1"],
  ])("refuse a batch with %s", (_, messages, problem) => {
    expect(() => check(messages)).toThrow(problem);
  });

  test.each([
    "",
    "proj_",
    "prj_1",
    "proj_a:b",
    "proj_*",
    "proj_a?",
    "proj_a b",
    "proj_a~",
    `proj_${"a".repeat(61)}`,
  ])('refuse "%s" as the id of a project, because it would be part of a pattern', (projectId) => {
    expect(() => check([message], projectId)).toThrow("proj_ and 1 to 60 letters and digits");
    const request = create(MeasureUsageRequestSchema, { projectIds: ["proj_1", projectId] });
    expect(() => checkMeasure(request)).toThrow("project_ids[1]");
  });

  test.each(["admin", "default", "proj_1", "proj_1-", "proj_2-1", "proj_1-a", "proj_1-1 on"])(
    'refuse "%s" as a user of the project proj_1',
    (username) => {
      const request = create(ProvisionRequestSchema, { projectId: "proj_1", credentials: [{ username }] });
      expect(() => checkProvision(request)).toThrow("credentials[0].username");
    },
  );
});
