import type { Config } from "../config.ts";
import { createTracePrinter } from "./trace-printer.ts";
import { startTraceReceiver } from "./trace-receiver.ts";

/**
 * Prints the traces that the services send, and returns the configuration with which they send them. Adds to `closers`
 * what ends it.
 */
export async function showTraces(
  config: Config,
  print: (line: string) => void,
  closers: (() => void | Promise<void>)[],
): Promise<Config> {
  const printer = createTracePrinter(print);
  const receiver = await startTraceReceiver(printer.add);
  closers.push(receiver.close, printer.stop);
  print("each trigger's trace is printed when it has ended (--telemetry)");
  const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: "200" };
  return { ...config, telemetryEnv: { ...config.telemetryEnv, ...own } };
}
