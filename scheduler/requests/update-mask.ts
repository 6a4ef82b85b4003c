import { fieldFailure } from "../../mesh/errors.ts";

/** Returns the UPDATE_MASK_INVALID error of a mask with a path that is not one of the `updatable` fields. */
export function updateMaskInvalid(path: string, updatable: readonly string[]): Error {
  const accepted = updatable.join(", ");
  const problem = `"${path}" cannot be changed; accepted: ${accepted}.`;
  return fieldFailure("UPDATE_MASK_INVALID", "updateMask", problem, { path, accepted });
}
