import {
  type DescField,
  type DescMessage,
  isMessage,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { JsonPath } from "../../mesh/json-text.ts";
import { fieldValue } from "./field-value.ts";

/** The text of a payload in a request's JSON, without the white space between its tokens. */
export interface SentPayload {
  readonly path: JsonPath;
  readonly text: string;
}

const texts = new WeakMap<Value, string>();

/** Connects the payloads of a request with the texts that they had in its JSON. */
export function rememberPayloads(schema: DescMessage, message: Message, sent: readonly SentPayload[]): void {
  for (const { path, text } of sent) {
    const value = valueAt(schema, message, path);
    if (value !== undefined) texts.set(value, text);
  }
}

/** Returns the text that a payload had in the request's JSON; undefined if the request came in a binary protocol. */
export function sentText(payload: Value): string | undefined {
  return texts.get(payload);
}

/**
 * Returns a payload as JSON text: the text that was sent, or the shortest text of what a binary protocol has. Throws for
 * a value that JSON cannot express.
 */
export function toPayloadText(payload: Value): string {
  return texts.get(payload) ?? writeJson(toJson(ValueSchema, payload));
}

// JSON.stringify would write 0 for -0.
function writeJson(json: JsonValue): string {
  if (Object.is(json, -0)) return "-0";
  if (Array.isArray(json)) return `[${json.map(writeJson).join(",")}]`;
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  const entries = Object.entries(json).map(([key, value]) => `${JSON.stringify(key)}:${writeJson(value)}`);
  return `{${entries.join(",")}}`;
}

function valueAt(schema: DescMessage, message: Message, path: JsonPath): Value | undefined {
  let desc: DescMessage | undefined = schema;
  let at: unknown = message;
  for (const part of path) {
    if (Array.isArray(at)) at = at[Number(part)];
    else {
      const field: DescField | undefined = desc?.fields.find(
        ({ name, jsonName }) => part === name || part === jsonName,
      );
      desc = field?.message;
      at = field === undefined ? undefined : fieldValue(at as Message, field);
    }
    if (at === undefined) return undefined;
  }
  return isMessage(at, ValueSchema) ? at : undefined;
}
