import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { CalendarService } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "../../gen/easycron/v1/operation_service_pb.ts";
import { PluginService } from "../../gen/easycron/v1/plugin_service_pb.ts";
import { ProjectService } from "../../gen/easycron/v1/project_service_pb.ts";
import { ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import { SystemService } from "../../gen/easycron/v1/system_service_pb.ts";
import { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { callerKey } from "../access/caller.ts";
import { traceparentKey } from "../interceptors/trace.ts";
import { forward } from "./forward.ts";

type Context = Parameters<ReturnType<typeof forward>>[1];

const signal = new AbortController().signal;

function contextOf(caller: "project" | "operator"): Context {
  const values = createContextValues();
  const project = { kind: "project", projectId: "proj_a", keyId: "key_a" } as const;
  values.set(callerKey, caller === "project" ? project : { kind: "operator" });
  values.set(traceparentKey, "00-1-2-01");
  return { signal, values, timeoutMs: () => 1_500 } as Context;
}

describe("a forwarded method", () => {
  test("sends the caller's project and key, the request, and the call's deadline, end and trace", async () => {
    const seen: unknown[] = [];
    const handler = forward(async (request: object, options) => {
      seen.push(request, options);
      return { response: "answer" };
    });
    expect(await handler("request", contextOf("project"))).toBe("answer");
    expect(seen).toEqual([
      { projectId: "proj_a", request: "request", actor: "key_a" },
      { signal, deadlineMs: 1_500, traceparent: "00-1-2-01" },
    ]);
  });

  test("refuses a caller that is no project", async () => {
    const handler = forward(async () => ({ response: "answer" }));
    await expect(handler("request", contextOf("operator"))).rejects.toMatchObject({
      reason: "API_KEY_INVALID",
    });
  });

  test("fails when the inner service answers without a response", async () => {
    const handler = forward(async () => ({ response: undefined }));
    await expect(handler("request", contextOf("project"))).rejects.toThrow("without a response");
  });
});

describe("the idempotency levels of the protos", () => {
  const outer = [
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
  ].flatMap(({ methods }) => methods);
  const inner = [SchedulerService, DispatcherService].flatMap(({ methods }) => methods);
  const namesOf = (methods: readonly (typeof outer)[number][], level: IdempotencyLevel) =>
    methods.filter(({ idempotency }) => idempotency === level).map(({ name }) => name);

  // Connect serves these methods by GET too. A method on this list must change nothing.
  const READS = [
    "ListApiKeys",
    "CheckCalendar",
    "GetCalendar",
    "ListCalendars",
    "GetJob",
    "GetRevision",
    "ListJobs",
    "ListRevisions",
    "AuditLedger",
    "ExplainFireTime",
    "ListFireTimes",
    "GetOperation",
    "ListOperations",
    "GetPlugin",
    "ListPlugins",
    "GetProject",
    "ListZoneDataImpacts",
    "PreviewSchedule",
    "SimulateSchedule",
    "ListSigningKeys",
    "GetServerInfo",
    "GetTrigger",
    "ListAttempts",
    "ListTriggers",
  ];
  const REPEATABLE_WRITES = [
    "AcknowledgeTrigger",
    "CancelOperation",
    "PauseJob",
    "ResumeJob",
    "RevokeSigningKey",
  ];
  // The gateway answers these itself.
  const OWN = ["ListApiKeys", "GetServerInfo", "GetPlugin", "ListPlugins", "GetProject"];

  test("open exactly the reads of the public API to GET", () => {
    expect(namesOf(outer, IdempotencyLevel.NO_SIDE_EFFECTS).sort()).toEqual([...READS].sort());
    expect(namesOf(outer, IdempotencyLevel.IDEMPOTENT).sort()).toEqual(
      [
        ...REPEATABLE_WRITES,
        "RevokeApiKey",
        "EnablePlugin",
        "UpdatePlugin",
        "DisablePlugin",
        "UpdateProject",
      ].sort(),
    );
  });

  test("let the gateway send again exactly the reads, and the writes that are safe to repeat", () => {
    const forwarded = READS.filter((name) => !OWN.includes(name));
    const reads = [...forwarded, "GetZoneData", "ResolveJob", "GetRetention", "GetProjectAlerts"];
    expect(namesOf(inner, IdempotencyLevel.NO_SIDE_EFFECTS).sort()).toEqual(reads.sort());
    expect(namesOf(inner, IdempotencyLevel.IDEMPOTENT).sort()).toEqual(
      [...REPEATABLE_WRITES, "SealSecrets", "UpdateRetention", "UpdateProjectAlerts"].sort(),
    );
  });
});
