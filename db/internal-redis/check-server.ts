/** The oldest version that is used. Valkey also calls itself redis_version 7. */
const OLDEST_VERSION = 7;

/** What INFO tells of a server. */
export interface ServerFacts {
  /** Such as "7.0.15"; undefined if the server does not tell. */
  readonly version: string | undefined;
  /** Why the server cannot be used, in a sentence; undefined if it can. */
  readonly unusable: string | undefined;
  /** What the operator should change although the server is used. */
  readonly advice: readonly string[];
}

/** Reads the answer to INFO. A server that tells nothing is used. */
export function readServerFacts(info: string): ServerFacts {
  const fieldOf = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1];
  const version = fieldOf("redis_version");
  const policy = fieldOf("maxmemory_policy");
  const isTooOld = version !== undefined && Number.parseInt(version, 10) < OLDEST_VERSION;
  const isEvicting = policy !== undefined && policy !== "noeviction" && fieldOf("maxmemory") !== "0";
  return {
    version,
    unusable: isTooOld
      ? `The internal Redis is version ${version}; use Redis ${OLDEST_VERSION} or newer, or Valkey.`
      : undefined,
    advice: isEvicting
      ? [
          `maxmemory-policy is ${policy}: Redis drops counters of limits when its memory is full; set noeviction.`,
        ]
      : [],
  };
}
