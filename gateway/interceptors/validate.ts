import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type Path, reflect } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { failure } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";

/**
 * Holds every unary request to the rules of its proto (buf.validate). Throws FIELD_INVALID with a violation for each
 * broken rule: the path as JSON has it, what was wrong, and with which value.
 */
export function createValidateInterceptor(): Interceptor {
  const validator = createValidator();
  return (next) => async (request) => {
    if (!request.stream) check(request.method.input, request.message);
    return next(request);
  };

  function check(schema: DescMessage, message: Message): void {
    const result = validator.validate(schema, message);
    if (result.kind === "error") throw result.error;
    if (result.kind === "valid") return;
    const violations = result.violations.map((violation) => ({
      field: toJsonPath(violation.field),
      description: describe(violation, schema, message),
    }));
    const [first] = violations;
    const metadata = { field: first?.field ?? "", problem: first?.description ?? "" };
    throw failure("FIELD_INVALID", metadata, { violations });
  }
}

/** A path as the JSON was sent: lowerCamelCase, [index], ["key"]. A oneof has no name there: its fields stand for it. */
export function toJsonPath(path: Path): string {
  let text = "";
  const add = (name: string) => {
    text += text === "" ? name : `.${name}`;
  };
  for (const part of path) {
    if (part.kind === "list_sub") text += `[${part.index}]`;
    else if (part.kind === "map_sub") text += `[${JSON.stringify(part.key, jsonBigint)}]`;
    else if (part.kind === "oneof") add(part.fields.map((field) => field.jsonName).join("|"));
    else add(part.kind === "field" ? part.jsonName : `[${part.typeName}]`);
  }
  return text;
}

function describe(violation: Violation, schema: DescMessage, message: Message): string {
  const last = violation.field.at(-1);
  const what = violation.message === "" ? violation.ruleId : violation.message;
  if (last?.kind === "oneof")
    return `Exactly one of ${last.fields.map((field) => field.jsonName).join(", ")} must be set.`;
  const value = violation.forKey ? undefined : readScalar(violation.field, schema, message);
  const sentence = `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
  return value === undefined ? `${sentence}.` : `${sentence}; it is ${value}.`;
}

/** The value at a path, as JSON writes it; undefined when it is not a single value. */
function readScalar(path: Path, schema: DescMessage, message: Message): string | undefined {
  let at: unknown = reflect(schema, message);
  for (const part of path) {
    const holder = at as { get(key: unknown): unknown };
    if (part.kind === "field") at = holder.get(part);
    else if (part.kind === "list_sub") at = holder.get(part.index);
    else if (part.kind === "map_sub") at = holder.get(part.key);
    else return undefined;
  }
  if (typeof at === "string") return `"${printable(at)}"`;
  return typeof at === "number" || typeof at === "bigint" || typeof at === "boolean" ? `${at}` : undefined;
}

function jsonBigint(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}
