import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { printable } from "../../mesh/printable.ts";
import { acceptedForm } from "./accepted-form.ts";
import { nearestName } from "./nearest-name.ts";
import { isOutputOnly } from "./output-only.ts";
import { holdsSecrets, mayBeSecret } from "./secret-fields.ts";
import { isDuration, isInstant } from "./time-text.ts";

/** A part of a request's JSON that cannot be decoded. */
export interface Undecodable {
  /** The path of the part as sent, such as `job.schedules[0].timeZone`. */
  readonly field: string;
  /**
   * The value as JSON, cut to 100 characters. For a list or an object it is "a list" or "an object". What may be a secret
   * is "not shown, because it may be a secret".
   */
  readonly value: string;
  /** A sentence with the value and what is accepted. */
  readonly problem: string;
  /** Whether there is no such field, so that what was decoded lacks nothing but what was meant. */
  readonly isUnknown?: true;
  /** The path that was probably meant, if the field is unknown. */
  readonly meant?: string | undefined;
}

/** The JSON of a request, taken apart. */
export interface Decodable {
  /** The JSON without the parts that cannot be decoded. In a list an empty value takes the place of such a part. */
  readonly json: JsonObject;
  readonly undecodable: readonly Undecodable[];
}

/**
 * Finds every part of a JSON object that a message cannot be decoded from: unknown fields, values of another form,
 * instants that do not exist, two fields of a oneof. Undefined if the JSON is no object.
 */
export function takeOutUndecodable(schema: DescMessage, json: JsonValue): Decodable | undefined {
  if (!isObject(json)) return undefined;
  const undecodable: Undecodable[] = [];
  return { json: inMessage(schema, json, "", undecodable), undecodable };
}

const MAX_UNKNOWN = 100;

function inMessage(schema: DescMessage, json: JsonObject, path: string, found: Undecodable[]): JsonObject {
  const kept: [string, JsonValue][] = [];
  const seen = new Map<string, DescField>();
  for (const [key, value] of Object.entries(json)) {
    const at = path === "" ? key : `${path}.${key}`;
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (field === undefined) {
      // A request may have any number of unknown fields. Some are enough to refuse it.
      if (found.length < MAX_UNKNOWN) found.push(unknown(schema, { path, at, key }, value));
      continue;
    }
    const before = found.length;
    const rest = value === null ? null : inField(schema, field, value, at, found);
    const clash = value === null ? undefined : clashOf(field, seen);
    if (clash !== undefined && found.length === before)
      found.push(wrong(at, value, clash, mayBeSecret(field)));
    else if (rest !== undefined && clash === undefined) kept.push([key, rest]);
  }
  return Object.fromEntries(kept);
}

function unknown(
  schema: DescMessage,
  { path, at, key }: { readonly path: string; readonly at: string; readonly key: string },
  value: JsonValue,
): Undecodable {
  const names = schema.fields.filter((field) => !isOutputOnly(field)).map(({ jsonName }) => jsonName);
  const nearest = nearestName(key, names);
  const accepted = names.length === 0 ? "no fields" : names.join(", ");
  const hint = nearest === undefined ? `accepted: ${accepted}` : `did you mean ${nearest}?`;
  const meant = nearest === undefined ? undefined : path === "" ? nearest : `${path}.${nearest}`;
  const { problem, ...rest } = wrong(at, value, `there is no such field; ${hint}`, holdsSecrets(schema));
  return { ...rest, problem: problem.replace(/\?\.$/, "?"), isUnknown: true, meant };
}

/** Says why a field cannot be set beside those seen before, and remembers it; undefined if it can. */
function clashOf(field: DescField, seen: Map<string, DescField>): string | undefined {
  const key = field.oneof === undefined ? field.name : `oneof ${field.oneof.name}`;
  const other = seen.get(key);
  if (other === undefined) {
    seen.set(key, field);
    return undefined;
  }
  if (field.oneof === undefined || other === field) return `${field.jsonName} is given twice; give it once`;
  const names = field.oneof.fields.map(({ jsonName }) => jsonName).join(", ");
  return `${other.jsonName} is set too; accepted: one of ${names}`;
}

/** Returns what is left of the value of a field; undefined when nothing is. */
function inField(
  schema: DescMessage,
  field: DescField,
  value: JsonValue,
  at: string,
  found: Undecodable[],
): JsonValue | undefined {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value))
      return refuse(field, found, at, value, `accepted: a list, each ${acceptedForm(field)}`);
    return value.map(
      (item, index) =>
        inEntry(schema, field, { value: item, whole: [item] }, `${at}[${index}]`, found) ?? emptyOf(field),
    );
  }
  if (field.fieldKind === "map") {
    if (!isObject(value))
      return refuse(field, found, at, value, `accepted: an object, each value ${acceptedForm(field)}`);
    const entries = Object.entries(value).flatMap(([key, item]) => {
      const entry = { value: item, whole: Object.fromEntries([[key, item]]) };
      const rest = inEntry(schema, field, entry, `${at}[${JSON.stringify(key)}]`, found);
      return rest === undefined ? [] : [[key, rest] as const];
    });
    return Object.fromEntries(entries);
  }
  return inEntry(schema, field, { value, whole: value }, at, found);
}

interface Entry {
  readonly value: JsonValue;
  /** The value of the field if it contained only this entry. */
  readonly whole: JsonValue;
}

/** Returns what is left of one value of a field; undefined when nothing is. */
function inEntry(
  schema: DescMessage,
  field: DescField,
  { value, whole }: Entry,
  at: string,
  found: Undecodable[],
): JsonValue | undefined {
  const isOrdinary = field.message !== undefined && !field.message.typeName.startsWith("google.protobuf.");
  if (isOrdinary && field.message !== undefined && isObject(value))
    return inMessage(field.message, value, at, found);
  if (!isTimeOf(field, value))
    return refuse(
      field,
      found,
      at,
      value,
      `${looksLikeInstant(value) ? "there is no such time; " : ""}accepted: ${acceptedForm(field)}`,
    );
  try {
    fromJson(schema, { [field.jsonName]: whole });
    return value;
  } catch {
    return refuse(field, found, at, value, `accepted: ${acceptedForm(field)}`);
  }
}

function isTimeOf(field: DescField, value: JsonValue): boolean {
  if (typeof value !== "string") return true;
  if (field.message?.typeName === "google.protobuf.Timestamp") return isInstant(value);
  return field.message?.typeName === "google.protobuf.Duration" ? isDuration(value) : true;
}

function looksLikeInstant(value: JsonValue): boolean {
  return typeof value === "string" && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/.test(value);
}

/** What stands in a list for an item that cannot be decoded, so that the items behind it keep their indexes. */
function emptyOf({ message, enum: desc, scalar }: DescField): JsonValue {
  if (message?.typeName === "google.protobuf.Timestamp") return "1970-01-01T00:00:00Z";
  if (message?.typeName === "google.protobuf.Duration") return "0s";
  if (message !== undefined) return {};
  if (desc !== undefined) return 0;
  if (scalar === ScalarType.BOOL) return false;
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES ? "" : 0;
}

function refuse(
  field: DescField,
  found: Undecodable[],
  at: string,
  value: JsonValue,
  what: string,
): undefined {
  found.push(wrong(at, value, what, mayBeSecret(field)));
  return undefined;
}

function wrong(field: string, json: JsonValue, what: string, isSecret: boolean): Undecodable {
  const value = isSecret && typeof json !== "object" ? NOT_SHOWN : shown(json);
  return { field: printable(field), value, problem: `It is ${value}; ${what}.` };
}

const NOT_SHOWN = "not shown, because it may be a secret";

function shown(json: JsonValue): string {
  // A list or an object may be nested very deep, so it is not written out.
  return typeof json !== "object" || json === null ? printable(JSON.stringify(json)) : nounOf(json);
}

function nounOf(json: object): string {
  return Array.isArray(json) ? "a list" : "an object";
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
