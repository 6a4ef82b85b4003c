import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseHostPort } from "./config.ts";
import type { Logger } from "./logger.ts";
import type { Readiness } from "./readiness.ts";

/** The endpoint for operators' machines: Prometheus, and whatever restarts or routes to processes. */
export interface OperatorServer {
  readonly port: number;
  /** Stops listening and ends the connections. */
  close(): Promise<void>;
}

/** What the endpoint shows. */
export interface OperatorServerParts {
  /** `host:port`. */
  readonly listen: string;
  readonly readiness: () => Readiness;
  /** Returns the measures in the text format of Prometheus. Absent when none are kept. */
  readonly readMetrics: (() => Promise<string>) | undefined;
  readonly logger: Pick<Logger, "warn">;
}

const MAX_CONNECTIONS = 64;
const REQUEST_MS = 10_000;
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Starts to answer GET and HEAD: `/healthz`, 200 while the process runs; `/readyz`, 200 while it would serve and else
 * 503, with the reasons; `/metrics`. It asks for no key and shows no customer's data, and is to be reached by operators
 * only. It never keeps the process from ending. Throws when it cannot listen.
 */
export async function startOperatorServer(parts: OperatorServerParts): Promise<OperatorServer> {
  const { host, port } = parseHostPort(parts.listen) ?? { host: "127.0.0.1", port: 0 };
  const read = oneAtATime(parts.readMetrics);
  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS };
  const server = createServer(limits, (request, response) => {
    answer(request, response, { ...parts, readMetrics: read }).catch((error: unknown) => {
      parts.logger.warn({ err: error }, "the measures could not be read");
      send(response, 500, "The measures could not be read; the log says why.\n");
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(new Error(`Cannot listen on ${parts.listen} (EASYCRON_METRICS_LISTEN): ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  { readiness, readMetrics }: OperatorServerParts,
): Promise<void> {
  if (method !== "GET" && method !== "HEAD") return send(response, 405, "Only GET is allowed.\n");
  switch (url?.split("?")[0]) {
    case "/healthz":
      return send(response, 200, "The process is alive.\n");
    case "/readyz": {
      const { problems, warnings } = readiness();
      const lines = [...problems, ...warnings.map((warning) => `Warning: ${warning}`)];
      const text = problems.length === 0 ? ["The process serves.", ...lines] : lines;
      return send(response, problems.length === 0 ? 200 : 503, `${text.join("\n")}\n`);
    }
    case "/metrics":
      if (readMetrics === undefined) return send(response, 404, "Metrics are turned off.\n");
      return send(response, 200, await readMetrics(), METRICS_TYPE);
    default:
      return send(response, 404, "There are /metrics, /healthz and /readyz.\n");
  }
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  type = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
}

/** Answers all who ask while a reading is under way with that reading. */
function oneAtATime(read: OperatorServerParts["readMetrics"]): OperatorServerParts["readMetrics"] {
  if (read === undefined) return undefined;
  let reading: Promise<string> | undefined;
  return () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
}
