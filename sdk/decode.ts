import { type DescEnum, type DescField, type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import {
  type Duration,
  durationMs,
  type FieldMask,
  type Timestamp,
  timestampDate,
  type Value,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { nameOfValue } from "./enum-names.ts";
import type { OutputOf } from "./plain-types.ts";

/**
 * Makes a plain object from a message: Dates, milliseconds, names of enums, no BigInt. A field that is not set is left
 * out; so is an enum that is UNSPECIFIED. A value that this version does not know, of an enum, is its number as text.
 */
export function decode<Desc extends DescMessage>(desc: Desc, message: Message): OutputOf<Desc> {
  return toPlainMessage(desc, message) as OutputOf<Desc>;
}

const WELL_KNOWN: Readonly<Record<string, (message: Message) => unknown>> = {
  "google.protobuf.Timestamp": (message) => timestampDate(message as Timestamp),
  "google.protobuf.Duration": (message) => durationMs(message as Duration),
  "google.protobuf.FieldMask": (message) => (message as FieldMask).paths,
  "google.protobuf.Value": (message) => toJson(ValueSchema, message as Value),
};

function toPlainMessage(desc: DescMessage, message: Message): unknown {
  const convert = WELL_KNOWN[desc.typeName];
  if (convert !== undefined) return convert(message);
  const values = message as unknown as Record<string, unknown>;
  const plain: Record<string, unknown> = {};
  for (const field of desc.fields) {
    const value = field.oneof === undefined ? values[field.localName] : memberOf(field, values);
    if (value === undefined) continue;
    const converted = toPlainField(field, value);
    if (converted !== undefined) plain[field.localName] = converted;
  }
  return plain;
}

function memberOf({ oneof, localName }: DescField, values: Record<string, unknown>): unknown {
  const set = values[oneof?.localName ?? ""] as { case: string | undefined; value?: unknown } | undefined;
  return set?.case === localName ? set.value : undefined;
}

function toPlainField(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case "list":
      return (value as unknown[]).map((item) => toPlainValue(field, item));
    case "map":
      return Object.fromEntries(
        Object.entries(value as object).map(([key, item]) => [key, toPlainValue(field, item)]),
      );
    default:
      return toPlainValue(field, value);
  }
}

function toPlainValue(field: DescField, value: unknown): unknown {
  if (field.message !== undefined) return toPlainMessage(field.message, value as Message);
  if (field.enum !== undefined) return toName(field.enum, value as number);
  return typeof value === "bigint" ? Number(value) : value;
}

function toName(desc: DescEnum, number: number): string | undefined {
  if (number === 0) return undefined;
  const known = desc.value[number];
  return known === undefined ? String(number) : nameOfValue(desc, known);
}
