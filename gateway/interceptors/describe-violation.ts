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
import { showDuration, showTimestamp } from "./show-time.ts";

/** Says in a sentence or two which rule was broken, what would keep it, and which value broke it. */
export function describeViolation(violation: Violation, schema: DescMessage, message: Message): string {
  const last = violation.field.at(-1);
  if (last?.kind === "oneof")
    return `Exactly one of ${last.fields.map((field) => field.jsonName).join(", ")} must be set.`;
  const field = violation.field.findLast((part) => part.kind === "field");
  if (violation.ruleId === "required" && field !== undefined)
    return `It is required; accepted: ${acceptedForm(field)}.`;
  const what = sentenceOf(violation, field);
  const value = violation.forKey ? undefined : showValue(violation.field, field, reflect(schema, message));
  return value === undefined ? `${what}.` : `${what}; ${value}.`;
}

function sentenceOf({ message, ruleId }: Violation, field: DescField | undefined): string {
  if (field?.enum !== undefined && ruleId.startsWith("enum."))
    return `Must be one of ${acceptedNames(field.enum)}`;
  const what = message === "" ? ruleId : message;
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
}

/** The value at a path as JSON writes it, of a list or a map its size; undefined when there is no short way to say it. */
function showValue(path: Path, field: DescField | undefined, request: unknown): string | undefined {
  let at = request;
  for (const part of path) {
    if (part.kind === "field" && isReflectMessage(at)) at = at.get(part);
    else if (part.kind === "list_sub" && isReflectList(at)) at = at.get(part.index);
    else if (part.kind === "map_sub" && isReflectMap(at)) at = at.get(part.key);
    else return undefined;
  }
  if (isReflectList(at) || isReflectMap(at)) return `there are ${at.size}`;
  const shown = isReflectMessage(at) ? showMessage(at.message) : showScalar(at, field);
  return shown === undefined ? undefined : `it is ${shown}`;
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
