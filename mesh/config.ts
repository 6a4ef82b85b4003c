import { isIP } from "node:net";
import { printable } from "./printable.ts";

/** The environment cannot be used. The message names every wrong variable, its value and what it must be. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join(" "));
    this.problems = problems;
  }
}

/** One environment variable: its name, how to parse it, and its default. */
export interface Setting<T> {
  readonly variable: string;
  /** What the variable must be, such as "a whole number from 1 to 10". */
  readonly bound: string;
  /** Returns the value, or undefined when the text is not what the variable must be. */
  readonly parse: (text: string) => T | undefined;
  /** The value when the variable is not set. Without a default the variable must be set. */
  readonly default?: T;
  /** If true, no error message shows the value. */
  readonly secret?: boolean;
}

/** The settings of a service, by their names in the configuration. */
export type EnvSpec = Readonly<Record<string, Setting<unknown>>>;

/** The type that `readEnv` returns for a specification. */
export type EnvValues<S extends EnvSpec> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/**
 * Reads the configuration and freezes it. An empty variable counts as not set. `others` are further problems of the
 * environment, as `findUnknown` returns them. Throws one ConfigError with every problem.
 */
export function readEnv<S extends EnvSpec>(
  env: NodeJS.ProcessEnv,
  spec: S,
  others: readonly string[] = [],
): EnvValues<S> {
  const problems: string[] = [...others];
  const entries = Object.entries(spec).map(([name, setting]) => {
    const result = readSetting(env[setting.variable], setting);
    if ("problem" in result) problems.push(result.problem);
    return [name, "value" in result ? result.value : undefined];
  });
  // The entries have the keys of the specification, and each value comes from the setting with its key.
  const values = Object.freeze(Object.fromEntries(entries)) as EnvValues<S>;
  if (problems.length > 0) throw new ConfigError(problems);
  return values;
}

function readSetting(
  text: string | undefined,
  setting: Setting<unknown>,
): { value: unknown } | { problem: string } {
  if (text === undefined || text === "") {
    if ("default" in setting) return { value: setting.default };
    return { problem: `${setting.variable} is not set; it must be ${setting.bound}.` };
  }
  const value = setting.parse(text);
  if (value !== undefined) return { value };
  const shown = setting.secret ? "(secret)" : `"${printable(text)}"`;
  return { problem: `${setting.variable} is ${shown}; it must be ${setting.bound}.` };
}

/**
 * Returns one problem for every variable EASYCRON_… that nothing reads. Without this check a misspelt variable would
 * be ignored silently. Names that begin with EASYCRON_<OTHER SERVICE>_ are left to that service.
 */
export function findUnknown(
  env: NodeJS.ProcessEnv,
  known: { readonly room: string; readonly spec: EnvSpec },
): string[] {
  const own = Object.values(known.spec).map((setting) => setting.variable);
  const accepted = new Set([...own, ...SHARED_VARIABLES]);
  const others = ROOMS.filter((name) => name !== known.room).map((name) => `EASYCRON_${name.toUpperCase()}_`);
  return Object.keys(env)
    .filter((name) => name.startsWith("EASYCRON_") && !accepted.has(name))
    .filter((name) => !others.some((prefix) => name.startsWith(prefix)))
    .map(
      (name) => `${printable(name)} is set, and nothing reads it; the ${known.room} reads ${own.join(", ")}.`,
    );
}

const ROOMS = ["gateway", "scheduler", "dispatcher", "plugins"];

/** Variables that several processes read, or that belong to `npm start`. Each may be set for any service. */
const SHARED_VARIABLES: readonly string[] = [
  // The customer's own programs read these two, as the README shows.
  "EASYCRON_API_KEY",
  "EASYCRON_SIGNING_SECRET",
  "EASYCRON_DATA_DIR",
  "EASYCRON_DEMO",
  "EASYCRON_DISPATCHERS",
  "EASYCRON_DISPATCHER_ADDRESSES",
  "EASYCRON_EGRESS_ALLOW",
  "EASYCRON_EGRESS_DENY",
  "EASYCRON_LOG_LEVEL",
  "EASYCRON_MASTER_KEY",
  "EASYCRON_METRICS_BY_PROJECT",
  "EASYCRON_METRICS_LISTEN",
  "EASYCRON_OPERATOR_KEY_HASH",
  "EASYCRON_PARENT_WATCH",
  "EASYCRON_PLUGINS_ADDRESSES",
  "EASYCRON_PORT",
  "EASYCRON_PREVIOUS_MASTER_KEY",
  "EASYCRON_PUBLIC_URL",
  "EASYCRON_RESET_ROLE_PASSWORDS",
  "EASYCRON_ROLE_PREFIX",
  "EASYCRON_SCHEDULERS",
  "EASYCRON_SCHEDULER_ADDRESSES",
];

interface SettingOptions<T> {
  readonly default?: T;
  readonly secret?: boolean;
}

/** A setting with its own parser. A parser that throws refuses the text. */
export function parsed<T>(
  variable: string,
  bound: string,
  parse: (text: string) => T | undefined,
  options: SettingOptions<T> = {},
): Setting<T> {
  const safe = (text: string) => {
    try {
      return parse(text);
    } catch {
      return undefined;
    }
  };
  return { variable, bound, parse: safe, ...options };
}

/** A setting that is one of a few words. */
export function oneOf<const T extends string>(
  variable: string,
  words: readonly T[],
  options: SettingOptions<T> = {},
): Setting<T> {
  return parsed(
    variable,
    `one of ${words.join(", ")}`,
    (text) => words.find((word) => word === text),
    options,
  );
}

/** The lowest and the highest value; both are allowed. */
interface Bounds extends SettingOptions<number> {
  readonly min: number;
  readonly max: number;
}

/** A setting that is a whole number. */
export function integer(variable: string, { min, max, ...options }: Bounds): Setting<number> {
  return bounded(variable, "a whole number", { min, max, ...options });
}

/** A setting that is a duration in whole milliseconds. Its name ends in _MS. */
export function milliseconds(variable: `${string}_MS`, bounds: Bounds): Setting<number> {
  return bounded(variable, "whole milliseconds", bounds);
}

function bounded(variable: string, what: string, { min, max, ...options }: Bounds): Setting<number> {
  const parse = (text: string) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return parsed(variable, `${what} from ${min} to ${max}`, parse, options);
}

/** A setting that is an address to listen on: `host:port` or `[ipv6]:port`. Port 0 means any free port. */
export function listenAddress(variable: string, options: SettingOptions<string> = {}): Setting<string> {
  const parse = (text: string) => (parseHostPort(text) === undefined ? undefined : text);
  return parsed(variable, "host:port, such as 127.0.0.1:8080", parse, options);
}

/**
 * A setting that lists addresses to call, separated by commas: one `host:port`, or several `ip:port` of one family.
 */
export function addressList(variable: string, options: SettingOptions<string[]> = {}): Setting<string[]> {
  const parse = (text: string) => {
    const parts = text.split(",").map((part) => part.trim());
    const hosts = parts.map((part) => parseHostPort(part));
    if (hosts.some((host) => host === undefined || host.port === 0)) return undefined;
    const families = new Set(hosts.map((host) => isIP(host?.host ?? "")));
    return families.size === 1 && (parts.length === 1 || !families.has(0)) ? parts : undefined;
  };
  const bound = "host:port, or several ip:port of one family separated by commas";
  return parsed(variable, bound, parse, options);
}

/** A setting that is a PostgreSQL connection string. It is a secret, because it contains a password. */
export function databaseUrl(variable: string): Setting<string> {
  const parse = (text: string) => {
    const { protocol, pathname } = new URL(text);
    return /^postgres(ql)?:$/.test(protocol) && pathname.length > 1 ? text : undefined;
  };
  return parsed(variable, "postgres://user:password@host:port/database", parse, { secret: true });
}

/** Splits `host:port` or `[ipv6]:port` into its parts. Returns undefined for any other text. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}
