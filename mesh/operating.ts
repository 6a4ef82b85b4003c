import type { Logger } from "./logger.ts";
import { measureLoops } from "./metrics/loop-metrics.ts";
import { measureProcess } from "./metrics/process-metrics.ts";
import { type OperatorServer, startOperatorServer } from "./operator-server.ts";
import { type Readiness, STARTING, STOPPING } from "./readiness.ts";
import { startTelemetry, type Telemetry } from "./telemetry.ts";
import { readTelemetrySettings } from "./telemetry-settings.ts";
import type { Watched } from "./watchdog.ts";

/** What operators see of one process. */
export interface Operating {
  readonly telemetry: Telemetry;
  /** Says from now on what `/readyz` answers. Before, the process is starting. */
  serve(readiness: () => Readiness): void;
  /** Measures loops. */
  watch(watched: readonly Watched[]): void;
  /** `/readyz` answers from now on that the process is stopping. */
  stopping(): void;
  /**
   * Sends what was measured and not sent yet, within 2 s, or within 0.5 s after `hurry` is aborted, and stops listening.
   * To be called last.
   */
  close(hurry: AbortSignal | undefined): Promise<void>;
}

/**
 * Starts what the environment asks for (`readTelemetrySettings`): measures, spans, and the endpoint for operators,
 * which listens from now on. Throws a ConfigError, and an error when it cannot listen.
 */
export async function startOperating(parts: {
  readonly service: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
}): Promise<Operating> {
  const { service, env, logger } = parts;
  const settings = readTelemetrySettings(env);
  const telemetry = await startTelemetry({ service, settings, logger });
  let readiness = () => STARTING;
  const stopMeasuring = telemetry.hasMetrics
    ? measureProcess(telemetry.meter, () => readiness().problems.length === 0)
    : () => {};
  let server: OperatorServer | undefined;
  if (settings.listen !== undefined) {
    const { listen } = settings;
    const readMetrics = telemetry.readPrometheus;
    server = await startOperatorServer({ listen, readiness: () => readiness(), readMetrics, logger });
    logger.info({ metricsPort: server.port }, "serving metrics and health");
  }
  return {
    telemetry,
    serve: (now) => {
      readiness = now;
    },
    watch: (watched) => {
      if (telemetry.hasMetrics) measureLoops(telemetry.meter, watched);
    },
    stopping: () => {
      readiness = () => STOPPING;
    },
    close: async (hurry) => {
      stopMeasuring();
      await telemetry.close(hurry);
      await server?.close();
    },
  };
}
