import { parsed, type Setting } from "../mesh/config.ts";

/** A setting that is the prefix of the names of the services' roles. */
export function rolePrefix(variable: string): Setting<string | undefined> {
  const bound =
    "1 to 52 lower-case letters, digits and underscores, with a letter first, and not pg_ at the beginning";
  const parse = (text: string) => (/^(?!pg_)[a-z][a-z0-9_]{0,51}$/.test(text) ? text : undefined);
  return parsed<string | undefined>(variable, bound, parse, { default: undefined });
}
