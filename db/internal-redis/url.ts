import { parsed, type Setting } from "../../mesh/config.ts";

/**
 * A setting that is the URL of the internal Redis. It need not be set: then each process keeps its own limits. Options in
 * the URL are refused, because the client would put them in place of ours.
 */
export function internalRedisUrl(variable: string): Setting<string | undefined> {
  const bound =
    "redis://user:password@host:port/0 or rediss://…; user, password and the number of the database may be left out, " +
    "and there are no options";
  const parse = (text: string) => {
    const { protocol, hostname, pathname, search, hash } = new URL(text);
    const isPlain = /^\/?\d{0,4}$/.test(pathname) && search === "" && hash === "";
    return /^rediss?:$/.test(protocol) && hostname !== "" && isPlain ? text : undefined;
  };
  return parsed<string | undefined>(variable, bound, parse, { default: undefined, secret: true });
}
