import { createHash } from "node:crypto";

/** A script of the internal Redis: one call, and one step that no other command interrupts. */
export interface Script {
  readonly lua: string;
  /** The name under which the server keeps the script. */
  readonly sha: string;
}

/** Makes a script of its text. Redis runs nothing else meanwhile, so it takes few steps. */
export function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
