import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { build } from "./app.ts";

const auditing = vi.hoisted(() => ({ parts: [] as { tickingSince(): number }[], stopped: 0 }));
vi.mock("./audit/audit-round.ts", async (original) => ({
  ...(await original<typeof import("./audit/audit-round.ts")>()),
  startAuditing: (parts: { tickingSince(): number }) => {
    auditing.parts.push(parts);
    return {
      stop: async () => {
        auditing.stopped += 1;
      },
      sinceSuccessMs: () => 0,
    };
  },
}));

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

test("the scheduler audits the ledger while it runs, and knows since when it ticks", async () => {
  const beforeMs = Date.now();
  const service = await build({
    EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0",
    DATABASE_URL: database.url("scheduler"),
    EASYCRON_DISPATCHER_ADDRESSES: "127.0.0.1:1",
    EASYCRON_LOG_LEVEL: "silent",
  });
  expect(auditing.parts).toHaveLength(1);
  const sinceMs = auditing.parts[0]?.tickingSince() ?? 0;
  expect(sinceMs).toBeGreaterThanOrEqual(beforeMs);
  expect(sinceMs).toBeLessThanOrEqual(Date.now());
  await service.close();
  expect(auditing.stopped).toBe(1);
}, 60_000);
