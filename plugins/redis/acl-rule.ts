import { BEGIN_GROUP, CONNECTION, CONSUME, DELETE, MAKE_ROOM, PUBLISH, READ, WRITE } from "./commands.ts";
import { namesOf } from "./names.ts";

/** For whom a rule is made. */
export interface AclRuleOptions {
  readonly projectId: string;
  /** SHA-256 of the password: 32 bytes. */
  readonly passwordSha256: Uint8Array;
  /** Whether the user can only read and delete. */
  readonly isReadOnly: boolean;
  /** Tells whether the server has a command. One that it does not have would make the whole rule invalid. */
  readonly hasCommand: (command: string) => boolean;
}

/**
 * Returns the arguments of ACL SETUSER after the name, for a user confined to its project. The user owns the keys under
 * `<project>:app:` and the channels under `<project>:`. It can consume what triggers have written under `<project>:`,
 * and cannot write it: otherwise it could forge a trigger for another of its programs, or lose one.
 */
export function toAclRule({ projectId, passwordSha256, isReadOnly, hasCommand }: AclRuleOptions): string[] {
  const { prefix } = namesOf(projectId);
  const allow = (...lists: (readonly string[])[]) =>
    [...new Set(lists.flat())].filter(hasCommand).map((name) => `+${name}`);
  const own = isReadOnly ? allow(CONNECTION, READ, DELETE) : allow(CONNECTION, PUBLISH, READ, DELETE, WRITE);
  const consume = isReadOnly ? allow(CONSUME, MAKE_ROOM) : allow(CONSUME, BEGIN_GROUP);
  return [
    "reset",
    "on",
    `#${Buffer.from(passwordSha256).toString("hex")}`,
    `~${prefix}app:*`,
    `&${prefix}*`,
    ...own,
    // Clients select database 0 when their URL names it. Key patterns hold in every database, so only this one is open.
    "+select|0",
    `(~${prefix}* ${consume.join(" ")})`,
  ];
}
