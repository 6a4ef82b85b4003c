import type { ProvisionRequest } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { toProbes } from "./acl-check.ts";
import { toAclRule } from "./acl-rule.ts";
import { askAll, askEach } from "./admin.ts";
import type { Connection } from "./connection.ts";
import type { HasCommand } from "./known-commands.ts";
import { ALL_PROJECTS, namesOf } from "./names.ts";
import { findUsers } from "./settings.ts";

const PASSWORD_HASH_BYTES = 32;

/**
 * Makes a project's users and limits as the request says, in one step. Users that it does not name are deleted, and the
 * server closes their connections; the connections of the others stay open. Then it checks with ACL DRYRUN that each user
 * may do what it should and nothing else. Throws when that is not so, after it has deleted that user.
 */
export async function provision(
  request: ProvisionRequest,
  connection: Connection,
  readCommands: (signal: AbortSignal) => Promise<HasCommand>,
  signal: AbortSignal,
): Promise<void> {
  const { projectId, credentials, isReadOnly, limits } = request;
  for (const [index, { passwordSha256 }] of credentials.entries()) {
    if (passwordSha256.length === PASSWORD_HASH_BYTES) continue;
    const problem = `It has ${passwordSha256.length} bytes; it must have ${PASSWORD_HASH_BYTES}.`;
    throw fieldFailure("FIELD_INVALID", `credentials[${index}].password_sha256`, problem);
  }
  const hasCommand = await readCommands(signal);
  const before = await findUsers(projectId, connection, signal);
  const names = credentials.map(({ username }) => username);
  const settings = [
    ...["read_only", isReadOnly ? "1" : "0"],
    ...["max_bytes", String(limits?.maxBytes ?? 0n)],
    ...["max_keys", String(limits?.maxKeys ?? 0n)],
    ...["users", names.join(" ")],
  ];
  const gone = before.filter((name) => !names.includes(name));
  const rules = credentials.map(({ username, passwordSha256 }) => [
    ...["ACL", "SETUSER", username],
    ...toAclRule({ projectId, passwordSha256, isReadOnly, hasCommand }),
  ]);
  const replies = await askAll(connection, signal, [
    ["MULTI"],
    ["SADD", ALL_PROJECTS, projectId],
    ["HSET", namesOf(projectId).settings, ...settings],
    ...(gone.length === 0 ? [] : [["ACL", "DELUSER", ...gone]]),
    ...rules,
    ["EXEC"],
  ]);
  const refused = (replies.at(-1) as unknown[]).find((reply) => reply instanceof Error);
  if (refused !== undefined) throw refused;
  for (const name of names) await check(name, toProbes(projectId, isReadOnly), connection, signal);
}

async function check(
  username: string,
  probes: ReturnType<typeof toProbes>,
  connection: Connection,
  signal: AbortSignal,
): Promise<void> {
  const replies = await askEach(
    connection,
    signal,
    probes.map(({ command }) => ["ACL", "DRYRUN", username, ...command]),
  );
  const wrong = probes.filter(({ isAllowed }, index) => {
    const [error, reply] = replies[index] ?? [new Error("no reply"), undefined];
    // A command that the server does not have is an error; it is as good as refused.
    return isAllowed !== (!(error instanceof Error) && reply === "OK");
  });
  if (wrong.length === 0) return;
  await askAll(connection, signal, [["ACL", "DELUSER", username]]);
  const shown = wrong
    .slice(0, 3)
    .map(({ command, isAllowed }) => `${command[0]} (${isAllowed ? "refused" : "allowed"})`);
  throw new Error(
    `This server's access rules do not do what they should: ${shown.join(", ")}; ${wrong.length} in all.`,
  );
}
