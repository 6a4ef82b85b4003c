import { namesOf } from "./names.ts";

/** A command that a user must be able to run, or must not. */
export interface AclProbe {
  readonly command: readonly string[];
  readonly isAllowed: boolean;
}

/** Returns what is tried with ACL DRYRUN after each ACL SETUSER. `foreign` is a key of somebody else. */
export function toProbes(projectId: string, isReadOnly: boolean): AclProbe[] {
  const { prefix } = namesOf(projectId);
  const probe = (isAllowed: boolean) => (text: string) => ({ command: text.split(" "), isAllowed });
  const app = `${prefix}app:k`;
  const own = `${prefix}k`;
  // Another project, whose id begins as this one's; EasyCron's own keys; anybody else's.
  const foreign = [
    `${projectId}x:app:k`,
    `${projectId}x:k`,
    `easycron:project:${projectId}`,
    `easycron:guard:${projectId}:g`,
    "k",
  ];
  const always = [
    "PING",
    "MULTI",
    "SELECT 0",
    `GET ${app}`,
    `MGET ${app} ${app}2`,
    `DEL ${app}`,
    `ZREMRANGEBYSCORE ${app} 0 1`,
    `BLPOP ${app} 1`,
    `XREADGROUP GROUP g c STREAMS ${own} >`,
    `XACK ${own} g 1-1`,
    `LPOP ${own}`,
    `GET ${own}`,
    `SUBSCRIBE ${prefix}c`,
  ];
  const writes = [
    `SET ${app} v`,
    `HSET ${app} f v`,
    `LPUSH ${app} v`,
    `ZADD ${app} 1 m`,
    `XADD ${app} * f v`,
    `RENAME ${app} ${app}2`,
    `XGROUP CREATE ${own} g $`,
    `PUBLISH ${prefix}c m`,
  ];
  const room = [`DEL ${own}`, `XTRIM ${own} MAXLEN 1`, `XDEL ${own} 1-1`];
  const never = [
    ...[`SET ${own} v`, `XADD ${own} * f v`, `RPUSH ${own} v`, `RENAME ${own} ${app}`, `EXPIRE ${own} 1`],
    ...[`LMOVE ${own} ${app} LEFT LEFT`, `COPY ${app} ${app}2 DB 1`, `MOVE ${app} 1`, "SELECT 1"],
    ...["KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "INFO", "MONITOR"],
    ...[
      "CONFIG GET *",
      "ACL LIST",
      "ACL WHOAMI",
      "CLIENT LIST",
      "CLIENT KILL TYPE normal",
      "CLIENT TRACKING ON",
    ],
    ...[
      "PUBSUB CHANNELS",
      "EVAL return 0",
      "FUNCTION LIST",
      "SCRIPT FLUSH",
      "DEBUG SLEEP 0",
      "SHUTDOWN",
      "SAVE",
    ],
    ...[
      `SORT ${app}`,
      `LCS ${app} ${app}2`,
      `DUMP ${app}`,
      `RESTORE ${app} 0 v`,
      `MIGRATE h 1 ${app} 0 1`,
      "WAIT 0 0",
    ],
    ...["SLOWLOG GET", "LATENCY LATEST", "MEMORY STATS", "CLUSTER NODES", "REPLICAOF NO ONE", "MODULE LIST"],
    ...["SUBSCRIBE c", `SUBSCRIBE ${projectId}x:c`, "PSUBSCRIBE *", `PUBLISH ${projectId}x:c m`],
    ...foreign.flatMap((key) => [
      `GET ${key}`,
      `SET ${key} v`,
      `DEL ${key}`,
      `LPOP ${key}`,
      `XRANGE ${key} - +`,
    ]),
    ...foreign.flatMap((key) => [`MGET ${app} ${key}`, `RENAME ${app} ${key}`, `SUNIONSTORE ${app} ${key}`]),
  ];
  return [
    ...always.map(probe(true)),
    ...writes.map(probe(!isReadOnly)),
    ...room.map(probe(isReadOnly)),
    ...never.map(probe(false)),
  ];
}
