import { isDeepStrictEqual } from "node:util";
import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import { compactJson, type JsonPath, scanJson } from "../../mesh/json-text.ts";
import { sentText, toPayloadText } from "../edge/payload-text.ts";
import { BEYOND_DOUBLE } from "../edge/request-text.ts";

/** The largest payload, in bytes of JSON. */
export const MAX_PAYLOAD_BYTES = 65_536;

// In protobuf each level of an object is three nested messages. Most clients read at most 100 nested messages.
const MAX_PAYLOAD_DEPTH = 30;

/** How many things that are wrong with one payload are told. */
const MAX_ERRORS = 100;

/** What can have a payload: a job, and a request to run one. */
export type PayloadHolder = Pick<Job, "payload" | "payloadJson">;

/**
 * Checks a payload: at most 65,536 bytes of JSON, nested at most 30 deep, with numbers that arrive as they were sent.
 * `field` is the path of `payload`. Returns a FIELD_INVALID error for each thing that is wrong.
 */
export function payloadErrors({ payload, payloadJson }: PayloadHolder, field: string): EasyCronError[] {
  if (payloadJson !== undefined) return jsonErrors(payloadJson, payload, field);
  if (payload === undefined) return [];
  let text: string;
  try {
    text = toPayloadText(payload);
  } catch {
    // A binary request can contain numbers that JSON does not have, and values without a kind.
    return [refuse(field, "It cannot be written as JSON; use only values that JSON has.")];
  }
  const errors = textErrors(text, field);
  if (errors.length > 0 || sentText(payload) !== undefined) return errors;
  return [...unkeptNumbers(JSON.parse(text) as JsonValue, field)].map(({ at, value }) =>
    refuse(
      at,
      `It is ${value}; whole numbers beyond 2^53 cannot be kept in this protocol; use JSON, payloadJson or a text.`,
    ),
  );
}

/** Checks a payload that is given as JSON text, alone or beside the same value. */
function jsonErrors(payloadJson: string, payload: Value | undefined, field: string): EasyCronError[] {
  const at = `${field}Json`;
  let json: JsonValue;
  try {
    json = JSON.parse(payloadJson) as JsonValue;
  } catch {
    return [refuse(at, "It is not JSON.")];
  }
  const text = compactJson(payloadJson);
  const errors = textErrors(text, at);
  if (errors.length > 0 || payload === undefined || isSame(payload, text, json)) return errors;
  return [refuse(at, "It is not the same as payload; send only one of the two.")];
}

function isSame(payload: Value, text: string, json: JsonValue): boolean {
  const sent = sentText(payload);
  return sent === undefined ? isDeepStrictEqual(toJsonOrNone(payload), json) : sent === text;
}

function toJsonOrNone(payload: Value): JsonValue | undefined {
  try {
    return toJson(ValueSchema, payload);
  } catch {
    return undefined;
  }
}

function textErrors(text: string, field: string): EasyCronError[] {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_PAYLOAD_BYTES)
    return [refuse(field, `As JSON it has ${bytes} bytes; at most ${MAX_PAYLOAD_BYTES} are allowed.`)];
  const errors: EasyCronError[] = [];
  let isTooDeep = false;
  const add = (path: JsonPath, problem: string) => {
    if (errors.length < MAX_ERRORS && path.length <= MAX_PAYLOAD_DEPTH)
      errors.push(refuse(pathOf(field, path), problem));
  };
  scanJson(text, {
    duplicate: (path) => add(path, "It is given twice; give it once."),
    value: (path, start, end) => {
      const first = text[start] ?? "";
      if (first === "{" || first === "[") isTooDeep ||= path.length >= MAX_PAYLOAD_DEPTH;
      else if (first === '"') {
        if (!(JSON.parse(text.slice(start, end)) as string).isWellFormed()) add(path, HALF_PAIR);
      } else if (/[-\d]/.test(first) && !Number.isFinite(Number(text.slice(start, end))))
        add(path, `It is ${text.slice(start, end).slice(0, 40)}; ${BEYOND_DOUBLE}`);
    },
  });
  if (!isTooDeep) return errors;
  return [refuse(field, `It is nested too deep; at most ${MAX_PAYLOAD_DEPTH} levels are allowed.`)];
}

const HALF_PAIR = "Must not hold half of a surrogate pair; send whole characters.";

function pathOf(field: string, path: JsonPath): string {
  return path.reduce<string>(
    (at, part) => (typeof part === "number" ? `${at}[${part}]` : `${at}.${part}`),
    field,
  );
}

/**
 * The whole numbers beyond 2^53 in a payload that came as google.protobuf.Value. Such a number is a double, which may
 * have been rounded before it was sent.
 */
function* unkeptNumbers(json: JsonValue, at: string): Generator<{ at: string; value: number }> {
  if (typeof json === "number" && Number.isInteger(json) && !Number.isSafeInteger(json))
    yield { at, value: json };
  if (Array.isArray(json)) {
    for (const [index, item] of json.entries()) yield* unkeptNumbers(item, `${at}[${index}]`);
  } else if (typeof json === "object" && json !== null) {
    for (const [key, item] of Object.entries(json)) yield* unkeptNumbers(item, `${at}.${key}`);
  }
}

function refuse(field: string, problem: string): EasyCronError {
  return fieldFailure("FIELD_INVALID", field, problem);
}
