import { failure } from "../mesh/errors.ts";
import { isStatementTimeout } from "./pool.ts";

/**
 * Runs a read for a customer, and returns its result or throws its error. Throws READ_TOO_COSTLY when PostgreSQL has
 * ended a statement of the read at the time limit of its pool: the same read would take as long again.
 */
export async function limitCost<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw isStatementTimeout(error) ? failure("READ_TOO_COSTLY", {}, { cause: error }) : error;
  }
}
