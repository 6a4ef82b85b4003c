import { AsyncLocalStorage } from "node:async_hooks";
import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { compactJson, isKeptByDouble, scanJson } from "../../mesh/json-text.ts";
import { acceptedForm } from "./accepted-form.ts";
import { describePlace } from "./field-path.ts";
import type { SentPayload } from "./payload-text.ts";
import { mayBeSecret } from "./secret-fields.ts";
import { isMisreadable } from "./time-text.ts";
import { takeOutUndecodable, type Undecodable } from "./undecodable.ts";

interface Slot {
  schema: DescMessage | undefined;
  isJson: boolean;
  message: Message | undefined;
  undecodable: readonly Undecodable[];
  payloads: readonly SentPayload[];
}

const slots = new AsyncLocalStorage<Slot>();
// Bytes that are no UTF-8 would become other characters.
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Runs `serve` for one call. Within it, `undecodableParts` returns what `checkingDecoder` has found. */
export function withRequestText<T>(serve: () => T): T {
  const slot: Slot = {
    schema: undefined,
    isJson: false,
    message: undefined,
    undecodable: [],
    payloads: [],
  };
  return slots.run(slot, serve);
}

/** Says of which message the call's request is. Call it before the body is read. */
export function expectRequest(schema: DescMessage): void {
  const slot = slots.getStore();
  if (slot !== undefined) slot.schema = schema;
}

/**
 * Decodes UTF-8 for connect, and a request's JSON with it. It takes out of the JSON what cannot be decoded, and keeps it
 * for `undecodableParts`, so that the rest can be decoded and all that is wrong can be told at once. Whoever serves the
 * call must refuse it if anything was taken out. Throws for bytes that are no UTF-8.
 *
 * The message is kept for `takeDecodedRequest`, and connect gets the JSON of an empty one: to decode a request of many jobs
 * twice would cost as much as all its checks.
 */
export const checkingDecoder = {
  decode(bytes?: Uint8Array): string {
    const text = decodeText(bytes);
    const slot = slots.getStore();
    if (slot?.schema === undefined) return text;
    slot.isJson = true;
    const { json, message, undecodable, payloads } = readRequest(slot.schema, text);
    slot.message = message;
    slot.undecodable = undecodable;
    slot.payloads = payloads;
    return message === undefined ? json : "{}";
  },
};

/**
 * Returns the message of the call's request, which connect has not got. Undefined in a binary protocol: connect has
 * decoded it. May be called once, so that nothing holds the message longer than the call needs it.
 */
export function takeDecodedRequest(): Message | undefined {
  const slot = slots.getStore();
  const message = slot?.message;
  if (slot !== undefined) slot.message = undefined;
  return message;
}

/** The parts of the call's request that cannot be decoded. Empty in a binary protocol, and before it has been read. */
export function undecodableParts(): readonly Undecodable[] {
  return slots.getStore()?.undecodable ?? [];
}

/** The payloads in the JSON of the call's request, as they were sent. Empty in a binary protocol. */
export function sentPayloads(): readonly SentPayload[] {
  return slots.getStore()?.payloads ?? [];
}

/** Returns whether the call's request came as JSON, so that its answer goes as JSON too. */
export function isJsonRequest(): boolean {
  return slots.getStore()?.isJson ?? false;
}

function decodeText(bytes: Uint8Array | undefined): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Error("the body is not UTF-8; send JSON in UTF-8");
  }
}

interface ReadRequest {
  /** The JSON text without what cannot be decoded. */
  readonly json: string;
  /** The message of that text; undefined if there is none. */
  readonly message?: Message | undefined;
  readonly undecodable: readonly Undecodable[];
  readonly payloads: readonly SentPayload[];
}

/** Reads the JSON text of a request. Text that is no JSON is returned as it is: connect says what is wrong with it. */
export function readRequest(schema: DescMessage, text: string): ReadRequest {
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(text) as JsonValue;
  } catch {
    return { json: text, undecodable: [], payloads: [] };
  }
  const { changed, mayBeMisread, payloads } = scanRequest(schema, text);
  if (changed.length === 0 && !mayBeMisread) {
    const message = decodeOrNone(schema, parsed);
    if (message !== undefined) return { json: text, message, undecodable: [], payloads };
  }
  const taken = takeOutUndecodable(schema, parsed);
  if (taken === undefined) return { json: text, undecodable: [], payloads };
  const told = new Set(changed.map(({ field }) => field));
  const undecodable = [...taken.undecodable.filter(({ field }) => !told.has(field)), ...changed];
  const json = undecodable.length === 0 ? text : JSON.stringify(taken.json);
  return { json, message: decodeOrNone(schema, taken.json), undecodable, payloads };
}

/** Returns the message of a JSON value; undefined if it cannot be decoded, and connect is to say why. */
function decodeOrNone(schema: DescMessage, json: JsonValue): Message | undefined {
  try {
    return fromJson(schema, json);
  } catch {
    return undefined;
  }
}

/**
 * Finds what `JSON.parse` changes: keys that an object has twice, of which it keeps the last, and numbers that a double
 * does not keep. Finds the texts of payloads too, and whether a text may be an instant or a duration that protobuf's
 * reader would misread.
 */
function scanRequest(schema: DescMessage, text: string) {
  const changed: Undecodable[] = [];
  const payloads: SentPayload[] = [];
  let mayBeMisread = false;
  scanJson(text, {
    duplicate: (path) => {
      if (changed.length >= MAX_CHANGED) return;
      const { field } = describePlace(schema, path);
      changed.push({ field, value: "", problem: "It is given twice; give it once." });
    },
    value: (path, start, end) => {
      if (
        path.at(-1) === "payload" &&
        path.length <= MAX_PAYLOAD_PATH &&
        describePlace(schema, path).isPayload
      )
        payloads.push({ path: [...path], text: compactJson(text.slice(start, end)) });
      const first = text.charCodeAt(start);
      if (first === QUOTE) {
        const next = text.charCodeAt(start + 1);
        if (next === MINUS || next === BACKSLASH || isDigit(next)) {
          mayBeMisread ||= isMisreadable(JSON.parse(text.slice(start, end)) as string);
        }
      } else if ((first === MINUS || isDigit(first)) && changed.length < MAX_CHANGED) {
        const problem = problemOfNumber(schema, path, text.slice(start, end));
        if (problem !== undefined) changed.push(problem);
      }
    },
  });
  return { changed, mayBeMisread, payloads };
}

/** How many changed values of one request are described. One is enough to refuse it. */
const MAX_CHANGED = 100;
/** A payload of a request is at most this deep: requests[0].job.payload. */
const MAX_PAYLOAD_PATH = 8;

/** No number of a request is deeper, except in a payload. */
const MAX_FIELD_PATH = 16;

const QUOTE = 0x22;
const MINUS = 0x2d;
const BACKSLASH = 0x5c;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function problemOfNumber(
  schema: DescMessage,
  path: readonly (string | number)[],
  number: string,
): Undecodable | undefined {
  if (isKeptByDouble(number)) return undefined;
  // Zero is what it is for every field, and so deep there is nothing but a payload.
  const isInRange = Number.isFinite(Number(number));
  if (Number(number) === 0 || (isInRange && path.length > MAX_FIELD_PATH)) return undefined;
  const { field, isInPayload, desc } = describePlace(schema, path);
  const value = number.length <= 40 ? number : `${number.slice(0, 39)}…`;
  // The text of a payload is kept. But whoever receives a number that no double holds cannot read it.
  if (isInPayload && isInRange) return undefined;
  if (isInPayload) return { field, value, problem: `It is ${value}; ${BEYOND_DOUBLE}` };
  if (desc === undefined) return undefined;
  if (mayBeSecret(desc))
    return {
      field,
      value: "",
      problem: `It is not shown, because it may be a secret; accepted: ${acceptedForm(desc)}.`,
    };
  return { field, value, problem: `It is ${value}; accepted: ${acceptedForm(desc)}.` };
}

/** Why a number such as 1e400 is refused in a payload. */
export const BEYOND_DOUBLE = "accepted: a number up to 1.79e308, the largest double; send it as a text.";
