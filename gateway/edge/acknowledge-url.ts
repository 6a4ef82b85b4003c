import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { toConnectError } from "./connect-error.ts";

/** The path of AcknowledgeTrigger. */
export const ACKNOWLEDGE_PATH = `/${TriggerService.typeName}/${TriggerService.method.acknowledgeTrigger.name}`;

/** What a request of AcknowledgeTrigger may have at most, in bytes: its fields have about 6,000. */
const MAX_BYTES = 16 * 1024;

/** The attempt that the URL of an acknowledgement names. Nobody has checked it. */
export interface NamedAttempt {
  readonly id: string;
  readonly token: string;
}

/** Reads the path of a webhook's easycron-ack-url. Returns undefined for any other path. */
export function parseAcknowledgePath(path: string): NamedAttempt | undefined {
  const [, id, token] = /^\/acknowledge\/([0-9a-z_]{1,64})\/([\w.-]{1,256})$/.exec(path) ?? [];
  return id === undefined || token === undefined ? undefined : { id, token };
}

/**
 * Converts a POST to such a URL to a call of AcknowledgeTrigger. Its body may be empty, which acknowledges a success, or it
 * is JSON with fields of AcknowledgeTriggerRequest; id and token are those of the URL. Its content type does not matter.
 */
export function toAcknowledgeCall(call: UniversalServerRequest, named: NamedAttempt): UniversalServerRequest {
  const { body } = limitBody(call);
  const header = new Headers({ "content-type": "application/json" });
  const traceparent = call.header.get("traceparent");
  if (traceparent !== null) header.set("traceparent", traceparent);
  const url = new URL(ACKNOWLEDGE_PATH, call.url).href;
  return { ...call, url, header, body: withNames(body, named) };
}

/** Bounds the body of a call to what a request of AcknowledgeTrigger may have. Reading more throws REQUEST_TOO_LARGE. */
export function limitBody(call: UniversalServerRequest): UniversalServerRequest & {
  readonly body: AsyncIterable<Uint8Array>;
} {
  return { ...call, body: limited(call.body) };
}

async function* limited(source: UniversalServerRequest["body"]): AsyncGenerator<Uint8Array> {
  if (!isStream(source)) return;
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw toConnectError(failure("REQUEST_TOO_LARGE", { maxBytes: `${MAX_BYTES}` }));
    yield chunk;
  }
}

// The adapter of Node gives a stream. Other adapters may give JSON that was read already.
function isStream(source: UniversalServerRequest["body"]): source is AsyncIterable<Uint8Array> {
  return typeof source === "object" && source !== null && Symbol.asyncIterator in source;
}

async function* withNames(
  source: AsyncIterable<Uint8Array>,
  named: NamedAttempt,
): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  yield Buffer.from(toJson(Buffer.concat(chunks).toString(), named));
}

/** Returns the text as it is if it is no JSON object, so that the error of the call says what is wrong. */
function toJson(text: string, named: NamedAttempt): string {
  if (text.trim() === "") return JSON.stringify(named);
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) return text;
  return JSON.stringify({ ...given, ...named });
}
