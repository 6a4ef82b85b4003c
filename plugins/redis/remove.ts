import { askAll } from "./admin.ts";
import type { Connection } from "./connection.ts";
import { ALL_PROJECTS, namesOf, ownerOf } from "./names.ts";
import { scanKeys } from "./scan.ts";
import { findUsers } from "./settings.ts";

/**
 * Removes everything of a project. First its users, so that nobody writes any more, then its settings, without which no
 * trigger is written, then its keys. When it is interrupted, it can be repeated.
 */
export async function remove(projectId: string, connection: Connection, signal: AbortSignal): Promise<void> {
  const users = await findUsers(projectId, connection, signal);
  if (users.length > 0) await askAll(connection, signal, [["ACL", "DELUSER", ...users]]);
  await askAll(connection, signal, [
    ["DEL", namesOf(projectId).settings],
    ["SREM", ALL_PROJECTS, projectId],
  ]);
  const unlink = async (keys: readonly string[]) => {
    const own = keys.filter((key) => ownerOf(key)?.projectId === projectId);
    if (own.length > 0) await askAll(connection, signal, [["UNLINK", ...own]]);
  };
  await scanKeys(connection, signal, unlink, `*${projectId}:*`);
}
