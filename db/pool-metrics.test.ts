import { expect, test } from "vitest";
import { startReadTelemetry } from "../test/support/read-metrics.ts";
import type { Pool } from "./pool.ts";
import { measurePools } from "./pool-metrics.ts";

test("each pool shows its connections, who waits for one, and what has had no answer for how long", async () => {
  const telemetry = await startReadTelemetry();
  const busy = {
    usage: () => ({ max: 4, used: 3, idle: 1, waiting: 2 }),
    oldestUnanswered: () => ({ statement: "commit", forMs: 1_500 }),
  };
  const quiet = {
    usage: () => ({ max: 2, used: 0, idle: 0, waiting: 0 }),
    oldestUnanswered: () => undefined,
  };
  measurePools(
    telemetry.meter,
    new Map<string, Pick<Pool, "usage" | "oldestUnanswered">>([
      ["claims", busy],
      ["upkeep", quiet],
    ]),
  );
  const samples = await telemetry.samples();
  const shown = (pool: string) =>
    Object.fromEntries(
      samples
        .filter(({ labels }) => labels.db_client_connection_pool_name === pool)
        .map(({ name, labels, value }) => [
          `${name} ${labels.db_client_connection_state ?? ""}`.trim(),
          value,
        ]),
    );
  expect(shown("claims")).toEqual({
    "db_client_connection_count used": 3,
    "db_client_connection_count idle": 1,
    db_client_connection_max: 4,
    db_client_connection_pending_requests: 2,
    easycron_database_unanswered_age_seconds: 1.5,
  });
  expect(shown("upkeep")).toMatchObject({
    db_client_connection_pending_requests: 0,
    easycron_database_unanswered_age_seconds: 0,
  });
  await telemetry.close();
});
