import { askAll } from "./admin.ts";
import type { Connection } from "./connection.ts";
import { isUserOf, namesOf } from "./names.ts";

/**
 * Returns the users of a project. They are in its settings, which change in the same step as the users themselves. If the
 * settings are gone, because the server has lost its data, all users of the server are looked through.
 */
export async function findUsers(
  projectId: string,
  connection: Connection,
  signal: AbortSignal,
): Promise<string[]> {
  const [known] = await askAll(connection, signal, [["HGET", namesOf(projectId).settings, "users"]]);
  if (typeof known === "string") return known.split(" ").filter((name) => isUserOf(projectId, name));
  const [all] = await askAll(connection, signal, [["ACL", "USERS"]]);
  return (all as string[]).filter((name) => isUserOf(projectId, name));
}
