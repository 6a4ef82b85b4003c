import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { type Struct, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";
import { fieldValue } from "../edge/field-value.ts";

/*
 * PostgreSQL's texts cannot hold U+0000, and half of a surrogate pair is no character: UTF-8 cannot write it, so it would
 * become another character on its way. Both are refused here, in every text of every request, before anything else reads
 * the request.
 *
 * A payload is different: it is kept as JSON text, in which U+0000 is written as an escape, and no statement reads that
 * text as JSON. So a payload may hold U+0000, and it is delivered as it is.
 */

const NUL = "\u0000";
const MAX_PATH = 256;

/** The texts of a request that cannot be kept as they are, each with its JSON path. */
export function textViolations(schema: DescMessage, message: Message): FieldViolation[] {
  const found: FieldViolation[] = [];
  inMessage(schema, message, "", found);
  return found;
}

function inMessage(schema: DescMessage, message: Message, path: string, found: FieldViolation[]): void {
  for (const field of schema.fields) {
    if (!mayHoldText(field)) continue;
    const value = fieldValue(message, field);
    if (value === undefined) continue;
    const at = path === "" ? field.jsonName : `${path}.${field.jsonName}`;
    inField(field, value, at, found);
  }
}

function inField(field: DescField, value: unknown, path: string, found: FieldViolation[]): void {
  if (field.fieldKind === "scalar") inText(value as string, path, found);
  else if (field.fieldKind === "message") inChild(field.message, value as Message, path, found);
  else if (field.fieldKind === "list") inList(field, value as unknown[], path, found);
  else if (field.fieldKind === "map") inMap(field, value as Record<string, unknown>, path, found);
}

function inList(
  field: DescField & { fieldKind: "list" },
  items: readonly unknown[],
  path: string,
  found: FieldViolation[],
): void {
  for (const [index, item] of items.entries()) {
    const at = `${path}[${index}]`;
    if (field.message === undefined) inText(item as string, at, found);
    else inChild(field.message, item as Message, at, found);
  }
}

function inMap(
  field: DescField & { fieldKind: "map" },
  entries: Record<string, unknown>,
  path: string,
  found: FieldViolation[],
): void {
  for (const [key, item] of Object.entries(entries)) {
    const at = `${path}[${JSON.stringify(key)}]`;
    inText(key, at, found);
    if (field.message !== undefined) inChild(field.message, item as Message, at, found);
    else if (field.scalar === ScalarType.STRING) inText(item as string, at, found);
  }
}

function inChild(schema: DescMessage, message: Message, path: string, found: FieldViolation[]): void {
  if (schema.typeName === ValueSchema.typeName) inJson(message as Value, path, found);
  else inMessage(schema, message, path, found);
}

function inJson({ kind }: Value, path: string, found: FieldViolation[]): void {
  if (kind.case === "stringValue") refuseHalves(kind.value, path, found);
  else if (kind.case === "structValue") inStruct(kind.value, path, found);
  else if (kind.case === "listValue") {
    for (const [index, item] of kind.value.values.entries()) inJson(item, `${path}[${index}]`, found);
  }
}

function inStruct({ fields }: Struct, path: string, found: FieldViolation[]): void {
  for (const [key, item] of Object.entries(fields)) {
    const at = `${path}.${key}`;
    refuseHalves(key, at, found);
    inJson(item, at, found);
  }
}

function inText(text: string, field: string, found: FieldViolation[]): void {
  if (text.includes(NUL)) {
    found.push({ field: shown(field), description: "Must not hold the character U+0000; leave it out." });
  }
  refuseHalves(text, field, found);
}

function refuseHalves(text: string, field: string, found: FieldViolation[]): void {
  if (text.isWellFormed()) return;
  const description =
    "Must not hold half of a surrogate pair, such as \\ud800 without the other half; send whole characters.";
  found.push({ field: shown(field), description });
}

// The path may hold the very characters that are refused.
function shown(path: string): string {
  return printable(path.toWellFormed(), MAX_PATH);
}

const known = new Map<DescField, boolean>();

/** Whether a text may be in a field, however deep; found once for each field. */
function mayHoldText(field: DescField): boolean {
  const before = known.get(field);
  if (before !== undefined) return before;
  // While its own fields are looked at: a message that holds itself adds nothing.
  known.set(field, false);
  const holds =
    (field.fieldKind === "map" && field.mapKey === ScalarType.STRING) ||
    ("scalar" in field && field.scalar === ScalarType.STRING) ||
    (field.message?.fields.some(mayHoldText) ?? false);
  known.set(field, holds);
  return holds;
}
