import { failure } from "../mesh/errors.ts";
import { isStatementTimeout } from "./pool.ts";

/**
 * Runs a read that a customer asked for. Throws READ_TOO_COSTLY instead of SERVICE_UNAVAILABLE when one of its statements
 * has reached the time limit of its pool: the customer should narrow the read, because repeating it would fail again.
 */
export async function nameCostlyRead<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw isStatementTimeout(error) ? failure("READ_TOO_COSTLY", {}, { cause: error }) : error;
  }
}
