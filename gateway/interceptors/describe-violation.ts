import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import {
  isReflectList,
  isReflectMap,
  isReflectMessage,
  type Path,
  reflect,
} from "@bufbuild/protobuf/reflect";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import type { Violation } from "@bufbuild/protovalidate";
import { printable } from "../../mesh/printable.ts";
import { acceptedForm, acceptedNames } from "../edge/accepted-form.ts";
import { describeRule } from "./describe-rule.ts";
import { showDuration, showTimestamp } from "./show-time.ts";

/** Says in one sentence what a field must be and which value it has: `Must be from 1 to 20; it is 21.` */
export function describeViolation(violation: Violation, schema: DescMessage, message: Message): string {
  const last = violation.field.at(-1);
  if (last?.kind === "oneof")
    return `Exactly one of ${last.fields.map((field) => field.jsonName).join(", ")} must be set.`;
  const field = violation.field.findLast((part) => part.kind === "field");
  if (violation.ruleId === "required" && field !== undefined)
    return `It is required; accepted: ${acceptedForm(field)}.`;
  const what = sentenceOf(violation, field);
  // A secret may get into logs with the error, so it is not shown.
  const isSecret = field?.proto.options?.debugRedact === true;
  const value = violation.forKey || isSecret ? undefined : valueAt(violation.field, reflect(schema, message));
  if (value === "" && field !== undefined && /^string\.(?:min_len|pattern)$/.test(violation.ruleId)) {
    const form = violation.ruleId === "string.pattern" ? what.replace(/^Must be /, "") : acceptedForm(field);
    return `It is required; accepted: ${form}.`;
  }
  const shown = showValue(value, violation.ruleId, field);
  return shown === undefined ? `${what}.` : `${what}; ${shown}.`;
}

function sentenceOf({ message, ruleId, rule }: Violation, field: DescField | undefined): string {
  if (field?.enum !== undefined && ruleId.startsWith("enum."))
    return `Must be one of ${acceptedNames(field.enum)}`;
  const words = field === undefined ? undefined : describeRule(ruleId, field, rule);
  if (words !== undefined) return words;
  const what = message === "" ? ruleId : message;
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
}

/** Returns the value at a path, or undefined when the path leads to none. */
function valueAt(path: Path, request: unknown): unknown {
  let at = request;
  for (const part of path) {
    if (part.kind === "field" && isReflectMessage(at)) at = at.get(part);
    else if (part.kind === "list_sub" && isReflectList(at)) at = at.get(part.index);
    else if (part.kind === "map_sub" && isReflectMap(at)) at = at.get(part.key);
    else return undefined;
  }
  return at;
}

/**
 * Shows a value as JSON writes it, or the size of a list or a map; undefined when there is no short way to show it.
 */
function showValue(value: unknown, ruleId: string, field: DescField | undefined): string | undefined {
  if (ruleId === "repeated.unique") return undefined;
  if (isReflectList(value) || isReflectMap(value)) return `it has ${value.size}`;
  const shown = isReflectMessage(value) ? showMessage(value.message) : showScalar(value, field);
  if (shown === undefined) return undefined;
  // The end of a long text is cut off, so the text alone does not show how long it is.
  if (typeof value === "string" && ruleId === "string.max_len")
    return `it has ${[...value].length}: ${shown}`;
  if (typeof value === "string" && ruleId === "string.max_bytes")
    return `it has ${Buffer.byteLength(value)}: ${shown}`;
  return `it is ${shown}`;
}

function showMessage(message: Message): string | undefined {
  if (message.$typeName === "google.protobuf.Duration") return showDuration(message as Duration);
  return message.$typeName === "google.protobuf.Timestamp" ? showTimestamp(message as Timestamp) : undefined;
}

function showScalar(value: unknown, field: DescField | undefined): string | undefined {
  if (typeof value === "string") return `"${printable(value)}"`;
  if (typeof value === "number" && field?.enum !== undefined)
    return field.enum.value[value]?.name ?? `${value}`;
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? `${value}`
    : undefined;
}
