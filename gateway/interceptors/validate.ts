import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { ContextValues, Interceptor } from "@connectrpc/connect";
import { type EasyCronError, type FieldViolation, failure } from "../../mesh/errors.ts";
import { malformed } from "../edge/malformed.ts";
import { rememberPayloads } from "../edge/payload-text.ts";
import { sentPayloads, undecodableParts } from "../edge/request-text.ts";
import type { Undecodable } from "../edge/undecodable.ts";
import { describeViolation } from "./describe-violation.ts";
import { textViolations } from "./texts.ts";
import { timeViolations } from "./times.ts";

/** What a method checks besides the rules of its proto. Returns an error for each thing that it finds wrong. */
export type OwnRules = (
  method: DescMethod,
  request: Message,
  values: ContextValues,
) => Promise<readonly EasyCronError[]>;

/** A call, as an interceptor sees it. */
export interface AskedCall {
  readonly method: DescMethod;
  readonly message: Message;
  readonly contextValues: ContextValues;
  readonly signal: AbortSignal;
}

/**
 * Asks an inner service what it would find wrong with a request that is refused already, apart from the fields `wrong`.
 * Never throws.
 */
export type InnerRules = (call: AskedCall, wrong: readonly string[]) => Promise<readonly FieldViolation[]>;

/** The largest number of broken rules that one error lists: it must fit into the headers of an answer. */
const MAX_VIOLATIONS = 100;

/**
 * Holds every unary request to the rules of its proto (buf.validate), its texts to what can be kept, its instants and
 * durations to whole milliseconds, and then to the method's own rules. What is wrong is told at once, whichever of them
 * finds it, with a violation for each broken rule: the path as JSON has it, what is wrong, and with which value. If
 * anything is, the inner service is asked about the rest. Throws REQUEST_MALFORMED if a part of the JSON could not be
 * decoded, FIELD_INVALID if another rule is broken than an own one, and otherwise the first error of the own rules.
 */
export function createValidateInterceptor(
  ownRules: OwnRules = async () => [],
  innerRules: InnerRules = async () => [],
): Interceptor {
  const validator = createValidator();
  return (next) => async (request) => {
    if (!request.stream) {
      const { method, message, contextValues } = request;
      rememberPayloads(method.input, message, sentPayloads());
      const own = await ownRules(method, message, contextValues);
      const error = refusal(undecodableParts(), brokenRules(method.input, message), own);
      if (error !== undefined) {
        // The rest of a request of which not all is known cannot be asked about.
        const isAllKnown = error.violations.length < MAX_VIOLATIONS;
        throw isAllKnown ? withMore(error, await innerRules(request, wrongFields(error))) : error;
      }
    }
    return next(request);
  };

  function brokenRules(schema: DescMessage, message: Message): FieldViolation[] {
    const texts = textViolations(schema, message);
    const times = timeViolations(schema, message);
    const rules = ruleViolations(schema, message, times.length > 0);
    return [...notAt(texts, [...rules, ...times]), ...texts];
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

function refusal(
  undecodable: readonly Undecodable[],
  found: readonly FieldViolation[],
  own: readonly EasyCronError[],
): EasyCronError | undefined {
  const broken = notCausedBy(undecodable, found);
  const ownBroken = notCausedBy(
    undecodable,
    notAt(
      broken,
      own.flatMap(({ violations }) => violations),
    ),
  );
  const violations = [...broken, ...ownBroken].slice(0, MAX_VIOLATIONS - undecodable.length);
  if (undecodable.length > 0) return malformed(undecodable.slice(0, MAX_VIOLATIONS), violations);
  const [first] = violations;
  if (first === undefined) return undefined;
  const [error] = own;
  if (broken.length > 0 || error === undefined)
    return failure("FIELD_INVALID", { field: first.field, problem: first.description }, { violations });
  return failure(error.reason, error.metadata, { violations, cause: error });
}

/** The fields that have no right value. A field that does not exist is none of them, but the one that was meant is. */
function wrongFields({ violations }: EasyCronError): string[] {
  const unknown = new Map(
    undecodableParts().flatMap(({ field, isUnknown, meant }) => (isUnknown ? [[field, meant]] : [])),
  );
  return violations.flatMap(({ field }) => (unknown.has(field) ? (unknown.get(field) ?? []) : [field]));
}

/** Returns an error with the violations of an inner service after its own. */
function withMore(error: EasyCronError, found: readonly FieldViolation[]): EasyCronError {
  const more = notCausedBy(undecodableParts(), notAt(error.violations, found));
  if (more.length === 0) return error;
  const violations = [...error.violations, ...more].slice(0, MAX_VIOLATIONS);
  return failure(error.reason, error.metadata, { violations, cause: error });
}

/** Returns the violations at other fields than those of `told`. */
function notAt(told: readonly FieldViolation[], violations: readonly FieldViolation[]): FieldViolation[] {
  const fields = new Set(told.map(({ field }) => field));
  return violations.filter(({ field }) => !fields.has(field));
}

/**
 * Returns the violations that are there although parts of the request were taken out: such a part may be what is
 * missing.
 */
function notCausedBy(parts: readonly Undecodable[], violations: readonly FieldViolation[]): FieldViolation[] {
  const missing = parts.flatMap(({ field, meant }) => (meant === undefined ? [field] : [field, meant]));
  return violations.filter(({ field }) => {
    const parent = field.slice(0, field.lastIndexOf(".") + 1);
    const fields = field.includes("|")
      ? field
          .slice(parent.length)
          .split("|")
          .map((name) => `${parent}${name}`)
      : [field];
    return !missing.some((each) => fields.some((one) => isWithin(one, each) || isWithin(each, one)));
  });
}

function isWithin(field: string, holder: string): boolean {
  return field.startsWith(holder) && /^(?:$|[.[])/.test(field.slice(holder.length));
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
