import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { printable } from "../../mesh/printable.ts";
import { acceptedForm } from "./accepted-form.ts";

/** The part of a request's JSON that cannot be decoded. */
export interface Undecodable {
  /** The path of the part as sent, such as `job.schedules[0].timeZone`. */
  readonly field: string;
  /** The value as JSON, cut to 100 characters. For a list or an object it is "a list" or "an object". */
  readonly value: string;
  /** A sentence with the value and what is accepted. */
  readonly problem: string;
}

/**
 * Finds the first part of a JSON text that a message cannot be decoded from: an unknown field, a value of another
 * form, two fields of a oneof. Undefined when the text is no JSON object, or when nothing in it alone is at fault.
 */
export function findUndecodable(schema: DescMessage, text: string): Undecodable | undefined {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
  return isObject(json) ? inMessage(schema, json, "") : undefined;
}

function inMessage(schema: DescMessage, json: JsonObject, path: string): Undecodable | undefined {
  const chosen = new Map<string, DescField>();
  for (const [key, value] of Object.entries(json)) {
    const at = path === "" ? key : `${path}.${key}`;
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (field === undefined) return wrong(at, value, `there is no such field; accepted: ${namesOf(schema)}`);
    if (value === null) continue;
    const found = inField(schema, field, value, at);
    if (found !== undefined) return found;
    if (field.oneof === undefined) continue;
    const other = chosen.get(field.oneof.name);
    if (other !== undefined) {
      const names = field.oneof.fields.map(({ jsonName }) => jsonName).join(", ");
      return wrong(at, value, `${other.jsonName} is set too; accepted: one of ${names}`);
    }
    chosen.set(field.oneof.name, field);
  }
  return undefined;
}

function inField(
  schema: DescMessage,
  field: DescField,
  value: JsonValue,
  at: string,
): Undecodable | undefined {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) return wrong(at, value, `accepted: a list, each ${acceptedForm(field)}`);
    return first(value, (item, index) => inEntry(schema, field, item, `${at}[${index}]`, [item]));
  }
  if (field.fieldKind === "map") {
    if (!isObject(value)) return wrong(at, value, `accepted: an object, each value ${acceptedForm(field)}`);
    return first(Object.entries(value), ([key, item]) =>
      inEntry(schema, field, item, `${at}[${JSON.stringify(key)}]`, { [key]: item }),
    );
  }
  return inEntry(schema, field, value, at, value);
}

/** Checks one value of a field. `whole` is the value of the field if it contained only this one. */
function inEntry(
  schema: DescMessage,
  field: DescField,
  value: JsonValue,
  at: string,
  whole: JsonValue,
): Undecodable | undefined {
  const isOrdinary = field.message !== undefined && !field.message.typeName.startsWith("google.protobuf.");
  if (isOrdinary && field.message !== undefined && isObject(value))
    return inMessage(field.message, value, at);
  try {
    fromJson(schema, { [field.jsonName]: whole });
    return undefined;
  } catch {
    return wrong(at, value, `accepted: ${acceptedForm(field)}`);
  }
}

function first<T>(
  items: readonly T[],
  look: (item: T, index: number) => Undecodable | undefined,
): Undecodable | undefined {
  for (const [index, item] of items.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}

function wrong(field: string, json: JsonValue, what: string): Undecodable {
  // A list or an object may be nested very deep, so it is not written out.
  const value = typeof json !== "object" || json === null ? printable(JSON.stringify(json)) : nounOf(json);
  return { field: printable(field), value, problem: `It is ${value}; ${what}.` };
}

function nounOf(json: object): string {
  return Array.isArray(json) ? "a list" : "an object";
}

function namesOf({ fields }: DescMessage): string {
  return fields.map(({ jsonName }) => jsonName).join(", ");
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
