import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { type EasyCronError, type FieldViolation, failure } from "../../mesh/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { textViolations } from "./texts.ts";
import { timeViolations } from "./times.ts";

/**
 * Holds every unary request to the rules of its proto (buf.validate), and its instants and durations to whole
 * milliseconds. Throws FIELD_INVALID with a violation for each broken rule: the path as JSON has it, what was wrong,
 * and with which value.
 */
export function createValidateInterceptor(): Interceptor {
  const validator = createValidator();
  return (next) => async (request) => {
    if (!request.stream) check(request.method.input, request.message);
    return next(request);
  };

  function check(schema: DescMessage, message: Message): void {
    const texts = textViolations(schema, message);
    if (texts.length > 0) throw refusal(texts);
    const times = timeViolations(schema, message);
    const violations = [...ruleViolations(schema, message, times.length > 0), ...times];
    if (violations.length > 0) throw refusal(violations);
  }

  function ruleViolations(schema: DescMessage, message: Message, refused: boolean): FieldViolation[] {
    const result = validator.validate(schema, message);
    // An invalid duration cannot be compared. It has been refused already.
    if (result.kind === "error" && !refused) throw result.error;
    return (result.violations ?? []).map((violation) => ({
      field: toJsonPath(violation.field),
      description: describeViolation(violation, schema, message),
    }));
  }
}

function refusal(violations: FieldViolation[]): EasyCronError {
  const [first = { field: "", description: "" }] = violations;
  return failure("FIELD_INVALID", { field: first.field, problem: first.description }, { violations });
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

function jsonBigint(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}
