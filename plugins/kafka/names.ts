/**
 * Returns the prefix of a project's topics, groups and transactional ids. It ends in a delimiter that no project's id
 * contains, so that the prefix of one project never matches the names of another: `proj_a.` is no prefix of `proj_ab.x`.
 */
export function prefixOf(projectId: string): string {
  return `${projectId}.`;
}

/** Returns the full name of a project's topic. */
export function topicOf(projectId: string, name: string): string {
  return prefixOf(projectId) + name;
}

/** Returns whether a user belongs to a project: its name is the project's id, a hyphen and digits. */
export function isUserOf(projectId: string, username: string): boolean {
  return username.startsWith(`${projectId}-`) && /^[0-9]+$/.test(username.slice(projectId.length + 1));
}

/** Returns the name under which the limits of a project are kept. It is no user's, because it does not end in digits. */
export function limitsUserOf(projectId: string): string {
  return `${projectId}-limits`;
}

/**
 * Returns the topic among others that Kafka would not tell from this one, if there is one: in the names of its metrics, a
 * dot and an underscore are the same, so it refuses the second of the two.
 */
export function collisionOf(topic: string, others: Iterable<string>): string | undefined {
  const toMetric = (name: string) => name.replaceAll(".", "_");
  for (const other of others) if (other !== topic && toMetric(other) === toMetric(topic)) return other;
  return undefined;
}
