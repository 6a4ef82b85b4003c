import {
  type Acl,
  AclOperations,
  AclPermissionTypes,
  type Connection,
  createAclsV3,
  deleteAclsV3,
  ResourcePatternTypes,
  ResourceTypes,
} from "@platformatic/kafka";
import { prefixOf } from "./names.ts";

const { TOPIC, GROUP, TRANSACTIONAL_ID } = ResourceTypes;
const { READ, WRITE, DELETE, DESCRIBE_CONFIGS } = AclOperations;

// Topics belong to us: a user can neither create, change nor delete one. READ and WRITE include DESCRIBE.
const READING = [
  [TOPIC, READ],
  [TOPIC, DESCRIBE_CONFIGS],
  [GROUP, READ],
  [GROUP, DELETE],
] as const;
const WRITING = [
  [TOPIC, WRITE],
  [TRANSACTIONAL_ID, WRITE],
] as const;

type Right = readonly [Acl["resourceType"], Acl["operation"]];

/**
 * Gives a user its rights: everything under the project's prefix, and nothing else. Who can only read loses the right
 * to write.
 */
export async function grant(
  connection: Connection,
  projectId: string,
  username: string,
  { isReadOnly }: { readonly isReadOnly: boolean },
): Promise<void> {
  const toAcl = ([resourceType, operation]: Right): Acl => ({
    resourceType,
    resourceName: prefixOf(projectId),
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: `User:${username}`,
    host: "*",
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  });
  const wanted = isReadOnly ? READING : [...READING, ...WRITING];
  await createAclsV3.api.async(connection, wanted.map(toAcl));
  if (isReadOnly) await deleteAclsV3.api.async(connection, WRITING.map(toAcl));
}

/**
 * Takes all rights of users away. Kafka asks for them with each request, so the users' open connections can do nothing
 * from now on. It can be repeated.
 */
export async function revokeAll(connection: Connection, usernames: readonly string[]): Promise<void> {
  if (usernames.length === 0) return;
  const filters = usernames.map((username) => ({
    resourceType: ResourceTypes.ANY,
    resourceName: null,
    resourcePatternType: ResourcePatternTypes.ANY,
    principal: `User:${username}`,
    host: null,
    operation: AclOperations.ANY,
    permissionType: AclPermissionTypes.ANY,
  }));
  await deleteAclsV3.api.async(connection, filters);
}

/**
 * Takes all rights to a project's space away from everybody. Unlike `revokeAll`, it needs not know the users: a broker
 * tells of a user only a moment after it was made. It can be repeated.
 */
export async function revokeProject(connection: Connection, projectId: string): Promise<void> {
  const filter = {
    resourceType: ResourceTypes.ANY,
    resourceName: prefixOf(projectId),
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: null,
    host: null,
    operation: AclOperations.ANY,
    permissionType: AclPermissionTypes.ANY,
  };
  await deleteAclsV3.api.async(connection, [filter]);
}
