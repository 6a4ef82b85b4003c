import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  type DeliverRequest,
  DeliverRequestSchema,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { AttemptOutcome } from "../gen/easycron/v1/trigger_pb.ts";
import { pause } from "../mesh/pause.ts";
import type { Plugin } from "./plugin.ts";
import { createPluginsService } from "./plugins-service.ts";

/** A plugin of this test's own, which delivers as the test says. */
function toPlugin(deliver: Plugin["deliver"]): Plugin {
  const unused = () => Promise.reject(new Error("unused"));
  return {
    deliver,
    describe: unused,
    provision: unused,
    remove: unused,
    measureUsage: unused,
    close: unused,
  };
}

function serve(redis: Plugin["deliver"], kafka: Plugin["deliver"] = succeed) {
  const errors: object[] = [];
  const none = () => {};
  const logger = { debug: none, info: none, warn: none, error: (fields: object) => errors.push(fields) };
  const plugins = new Map([
    [PluginKind.REDIS, toPlugin(redis)],
    [PluginKind.KAFKA, toPlugin(kafka)],
  ]);
  return { service: createPluginsService(plugins, logger), errors };
}

const succeed: Plugin["deliver"] = async ({ messages }) =>
  messages.map(({ triggerId }) => ({ triggerId, outcome: AttemptOutcome.SUCCEEDED }));
const never: Plugin["deliver"] = () => new Promise(() => {});

function toBatch(projectId: string, count: number, kind: "redis" | "kafka" = "redis"): DeliverRequest {
  const target = { kind: { case: kind, value: {} } } as const;
  const messages = Array.from({ length: count }, (_, n) => ({
    triggerId: `trg_${n}`,
    target,
    guard: `${n}`,
    guardTtlMs: 1n,
  }));
  return create(DeliverRequestSchema, { projectId, messages });
}

const context = (deadlineMs: number) => ({
  signal: new AbortController().signal,
  deadlineMs,
  traceparent: "",
});
const outcomesOf = ({ deliveries = [] }: { deliveries?: readonly { outcome?: number }[] }) => [
  ...new Set(deliveries.map(({ outcome }) => outcome)),
];

describe("the handlers of PluginsService", () => {
  test("answer for a plugin that hangs before the caller's deadline: the outcomes are UNKNOWN", async () => {
    const { service } = serve(never);
    // Timers end in the order of their times, also when the process has stood still.
    const deadline = pause(600);
    const answer = await Promise.race([service.deliver(toBatch("proj_1", 2), context(600)), deadline]);
    expect.assert(answer !== undefined);
    expect(outcomesOf(answer)).toEqual([AttemptOutcome.UNKNOWN]);
  });

  test("refuse at once what a slow broker has no room for, while the other broker is served", async () => {
    const { service } = serve(never);
    const hanging = ["proj_1", "proj_2"].flatMap((projectId) =>
      Array.from({ length: 10 }, () => service.deliver(toBatch(projectId, 1_000), context(1_000))),
    );
    const refused = await service.deliver(toBatch("proj_3", 1), context(60_000));
    expect(refused.deliveries).toMatchObject([
      {
        triggerId: "trg_0",
        outcome: AttemptOutcome.NOT_SENT,
        error: expect.stringContaining("Too many messages"),
      },
    ]);
    const other = await service.deliver(toBatch("proj_3", 1, "kafka"), context(60_000));
    expect(outcomesOf(other)).toEqual([AttemptOutcome.SUCCEEDED]);
    await Promise.all(hanging);
    expect(outcomesOf(await service.deliver(toBatch("proj_3", 1), context(300)))).toEqual([
      AttemptOutcome.UNKNOWN,
    ]);
  });

  test("give the room of a batch back when it is done", async () => {
    const { service } = serve(succeed);
    for (let n = 0; n < 30; n++) {
      expect(outcomesOf(await service.deliver(toBatch("proj_1", 1_000), context(60_000)))).toEqual([
        AttemptOutcome.SUCCEEDED,
      ]);
    }
  });

  test("log a plugin's own fault, and answer UNKNOWN", async () => {
    const { service, errors } = serve(() => Promise.reject(new Error("a bug")));
    expect(outcomesOf(await service.deliver(toBatch("proj_1", 2), context(60_000)))).toEqual([
      AttemptOutcome.UNKNOWN,
    ]);
    expect(errors).toMatchObject([{ projectId: "proj_1", err: { message: "a bug" } }]);
  });
});
