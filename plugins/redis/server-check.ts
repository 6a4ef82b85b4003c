import { askEach } from "./admin.ts";
import type { Connection } from "./connection.ts";

const CHECK_LIMIT_MS = 5_000;

/**
 * Returns what is wrong with the server's configuration, in words for the operator. A server that does not let its
 * configuration be read (some that are managed by others) has nothing wrong in it.
 */
export async function checkServer(connection: Connection): Promise<string[]> {
  const signal = AbortSignal.timeout(CHECK_LIMIT_MS);
  const replies = await askEach(connection, signal, [
    ["INFO", "server"],
    ["CONFIG", "GET", "maxmemory-policy"],
    ["CONFIG", "GET", "maxmemory"],
    ["CONFIG", "GET", "appendonly"],
    ["ACL", "GETUSER", "default"],
  ]);
  const [info, policy, memory, appendOnly, user] = replies.map(([error, reply]) =>
    error ? undefined : reply,
  );
  const problems: string[] = [];
  const version = /^redis_version:(\d+)\./m.exec(String(info))?.[1];
  if (version !== undefined && Number(version) < 7) {
    problems.push("The server is older than Redis 7.0: it has no selectors, so no project can be set up.");
  }
  const isPolicySafe = settingOf(policy) === undefined || settingOf(policy) === "noeviction";
  if (!isPolicySafe) {
    problems.push(
      `maxmemory-policy is ${settingOf(policy)}: Redis drops keys of any project; set noeviction.`,
    );
  }
  if (settingOf(memory) === "0")
    problems.push("maxmemory is 0: one project can take all memory; set a limit.");
  if (settingOf(appendOnly) === "no") {
    problems.push("appendonly is no: a restart of Redis loses messages; set appendonly yes.");
  }
  if (isDefaultUserWeak(user)) {
    problems.push(
      "The default user does not have all rights: when Redis starts, it leaves out every transaction of its append-only " +
        'file that this user may not run; set "user default off allcommands allkeys allchannels".',
    );
  }
  if (isDefaultUserOpen(user)) {
    problems.push("The default user is on without a password: anybody can do anything; set it off.");
  }
  return problems;
}

/** Returns the value in the reply of CONFIG GET with one name. */
function settingOf(reply: unknown): string | undefined {
  return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : undefined;
}

/** Returns a field in the reply of ACL GETUSER: names and values take turns. */
function fieldOf(reply: unknown, name: string): unknown {
  return Array.isArray(reply) ? reply[reply.indexOf(name) + 1] : undefined;
}

function isDefaultUserWeak(reply: unknown): boolean {
  const commands = fieldOf(reply, "commands");
  return typeof commands === "string" && (commands !== "+@all" || fieldOf(reply, "keys") !== "~*");
}

function isDefaultUserOpen(reply: unknown): boolean {
  const flags = fieldOf(reply, "flags");
  return Array.isArray(flags) && flags.includes("on") && flags.includes("nopass");
}
