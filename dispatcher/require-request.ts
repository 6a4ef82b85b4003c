import { failure } from "../mesh/errors.ts";

/** Returns the customer's request inside an inner one. Throws FIELD_INVALID if there is none. */
export function requireRequest<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
