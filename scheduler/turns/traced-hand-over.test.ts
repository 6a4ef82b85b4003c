import { expect, test } from "vitest";
import { UNTRACED } from "../../mesh/trigger-tracer.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { traceHandOver } from "./traced-hand-over.ts";

test("a trace that cannot be recorded does not make its hand-over fail, and one line is logged", async () => {
  const refused = [{ triggerId: "trg_1", problem: "locked", isTransient: true }];
  const lines: object[] = [];
  const handOver = traceHandOver(
    { send: async () => refused, close: () => {} },
    {
      tracer: {
        ...UNTRACED,
        isOn: true,
        isSampled: () => {
          throw new Error("broken");
        },
      },
      revisions: { of: async () => new Map() },
      clock: { now: () => 0 },
      logger: { error: (fields: object) => void lines.push(fields) },
    },
  );
  const events = [{ triggerId: "trg_2" } as TriggerEventInit];
  expect(await handOver.send(events)).toBe(refused);
  expect(await handOver.send(events)).toBe(refused);
  expect(lines).toHaveLength(1);
});
