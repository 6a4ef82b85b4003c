import type { Admin } from "@platformatic/kafka";
import type { Logger } from "../../mesh/logger.ts";
import type { AdminSession } from "./admin.ts";
import { isOnly } from "./admin-errors.ts";
import { removeLimits } from "./limits.ts";
import { prefixOf } from "./names.ts";
import { removeUsers } from "./provision.ts";
import { revokeProject } from "./rights.ts";
import { deleteTopics, listTopics } from "./topics.ts";
import { listUsers } from "./users.ts";

/**
 * Removes everything of a project: users with their rights and quotas, topics, groups, limits. It can be repeated, and
 * after a crash at any point. What transactional ids leave behind, Kafka removes by itself after seven days.
 */
export async function remove(
  { client, connection, signal }: AdminSession,
  projectId: string,
  logger: Logger,
): Promise<void> {
  await revokeProject(connection, projectId);
  await removeUsers(connection, await listUsers(connection, projectId));
  const topics = await listTopics(connection, prefixOf(projectId));
  for (const topic of topics.keys()) {
    // The project may have enabled the plugin again meanwhile.
    signal.throwIfAborted();
    await deleteTopics(connection, [topic]);
  }
  signal.throwIfAborted();
  await removeGroups(client, projectId, logger);
  signal.throwIfAborted();
  await removeLimits(connection, projectId);
}

// "classic" is what clients without a protocol of their own choose; "consumer" is the one of KIP-848.
const GROUP_TYPES = ["classic", "consumer"];

async function removeGroups(client: Admin, projectId: string, logger: Logger): Promise<void> {
  const groups = await client.listGroups({ types: GROUP_TYPES });
  const own = [...groups.values()].filter(({ id }) => id.startsWith(prefixOf(projectId)));
  for (const { id, groupType } of own) {
    try {
      // A member that cannot reach the group any more is in it until its session ends.
      if (groupType === "classic") await client.removeMembersFromConsumerGroup({ groupId: id });
      await client.deleteGroups({ groups: [id] });
    } catch (error) {
      if (isOnly(error, "GROUP_ID_NOT_FOUND")) continue;
      if (!isOnly(error, "NON_EMPTY_GROUP")) throw error;
      // Its topics and users are gone. Kafka removes an empty group by itself, after seven days by default.
      logger.warn(
        { projectId, group: id },
        "a group of a removed project still has members; Kafka will remove it",
      );
    }
  }
}
