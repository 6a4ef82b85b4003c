import { failure } from "../../mesh/errors.ts";

/** The customer's request inside an internal one. Throws FIELD_INVALID when there is none, a mistake of the gateway's. */
export function required<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
