import { expect, test } from "vitest";
import { createInstruments } from "../../mesh/metrics/metric.ts";
import { startReadTelemetry } from "../../test/support/read-metrics.ts";
import { measureWork } from "./measure-work.ts";
import { DISPATCHER_METRICS } from "./metrics.ts";

test("what a dispatcher has in memory is shown as it is when it is read", async () => {
  const telemetry = await startReadTelemetry();
  let results = 0;
  measureWork(createInstruments(telemetry.meter, DISPATCHER_METRICS), {
    count: () => ({
      waitingOurs: 1,
      waitingTheirs: 2,
      inFlight: 3,
      results,
      resultsAgeMs: results * 500,
      blocked: 5,
    }),
    holding: { size: 6 },
    lease: { isValid: () => results === 0 },
  });
  const shown = async () =>
    Object.fromEntries(
      (await telemetry.samples())
        .filter(({ name }) => name.startsWith("easycron_"))
        .map(({ name, labels, value }) => [[name, labels.easycron_part ?? ""].join(" ").trim(), value]),
    );
  const same = {
    "easycron_waiting_triggers ours": 1,
    "easycron_waiting_triggers theirs": 2,
    easycron_attempt_in_flight: 3,
    easycron_breaker_blocked: 5,
    easycron_held_triggers: 6,
  };
  expect(await shown()).toMatchObject({
    ...same,
    easycron_results_waiting: 0,
    easycron_results_oldest_age_seconds: 0,
    easycron_lease_valid: 1,
  });
  results = 4;
  expect(await shown()).toMatchObject({
    ...same,
    easycron_results_waiting: 4,
    easycron_results_oldest_age_seconds: 2,
    easycron_lease_valid: 0,
  });
  await telemetry.close();
});
