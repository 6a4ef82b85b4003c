import { fieldFailure } from "../../mesh/errors.ts";

/** The error of a mask that names a path which is not among the fields that may be changed. */
export function updateMaskInvalid(path: string, updatable: readonly string[]): Error {
  const accepted = updatable.join(", ");
  const problem = `"${path}" cannot be changed; accepted: ${accepted}.`;
  return fieldFailure("UPDATE_MASK_INVALID", "updateMask", problem, { path, accepted });
}
