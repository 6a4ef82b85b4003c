import { type EasyCronError, type FieldViolation, failure } from "../../mesh/errors.ts";
import type { Undecodable } from "./undecodable.ts";

/**
 * Creates the REQUEST_MALFORMED error of a request of which parts cannot be decoded. It names all of them, and the
 * other broken rules after them. Undefined if there are no such parts.
 */
export function malformed(
  parts: readonly Undecodable[],
  others: readonly FieldViolation[] = [],
): EasyCronError | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const { field, value, problem } = first;
  const violations = [...parts.map((part) => ({ field: part.field, description: part.problem })), ...others];
  return failure("REQUEST_MALFORMED", { field, value, problem: `${field}: ${problem}` }, { violations });
}
