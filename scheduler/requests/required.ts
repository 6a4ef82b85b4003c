import { failure } from "../../mesh/errors.ts";

/**
 * Returns the customer's request inside an internal one. Throws FIELD_INVALID when it is missing, which is a fault of
 * the gateway.
 */
export function required<T>(request: T | undefined): T {
  if (request === undefined)
    throw failure("FIELD_INVALID", {
      field: "request",
      problem: "It is required.",
    });
  return request;
}
