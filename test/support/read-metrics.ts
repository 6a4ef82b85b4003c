import { startTelemetry, type Telemetry } from "../../mesh/telemetry.ts";
import { readTelemetrySettings } from "../../mesh/telemetry-settings.ts";
import { readSamples, type Sample } from "./metric-tables.ts";

/** Telemetry whose measures a test reads as Prometheus does. */
export interface ReadTelemetry extends Telemetry {
  samples(): Promise<readonly Sample[]>;
}

/** Starts telemetry for a test. `env` has further variables. */
export async function startReadTelemetry(env: Record<string, string> = {}): Promise<ReadTelemetry> {
  const settings = readTelemetrySettings({ EASYCRON_METRICS_LISTEN: "127.0.0.1:0", ...env });
  const logger = { warn: () => {}, error: () => {} };
  const telemetry = await startTelemetry({ service: "test", settings, logger });
  return { ...telemetry, samples: async () => readSamples((await telemetry.readPrometheus?.()) ?? "") };
}
