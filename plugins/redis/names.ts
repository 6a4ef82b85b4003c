/** The names of what belongs to a project in the managed Redis. A project's id has no character that a pattern knows. */
export interface ProjectNames {
  /** The prefix of all its keys and channels. */
  readonly prefix: string;
  /** The hash that keeps its limits and users. Like all that begins with `easycron:`, no customer can reach it. */
  readonly settings: string;
}

/** The set of the ids of all projects that are set up. */
export const ALL_PROJECTS = "easycron:projects";

/** Returns the names of a project. */
export function namesOf(projectId: string): ProjectNames {
  return { prefix: `${projectId}:`, settings: `easycron:project:${projectId}` };
}

/** Returns the key that remembers that a message was written. */
export function guardKey(projectId: string, guard: string): string {
  return `easycron:guard:${projectId}:${guard}`;
}

/** Returns the key that keeps the fire time of the message that a key holds. */
export function latestKey(projectId: string, name: string): string {
  return `easycron:latest:${projectId}:${name}`;
}

/** What a key of the managed Redis is: a project's own data, or what EasyCron keeps for the project. */
export interface KeyOwner {
  readonly projectId: string;
  readonly isInternal: boolean;
}

/** Returns whose key this is, or undefined if it belongs to no project. */
export function ownerOf(key: string): KeyOwner | undefined {
  const internal = /^easycron:(?:guard|latest):([^:]+):/.exec(key)?.[1];
  if (internal !== undefined) return { projectId: internal, isInternal: true };
  const projectId = /^(proj_[A-Za-z0-9]+):/.exec(key)?.[1];
  return projectId === undefined ? undefined : { projectId, isInternal: false };
}

/** Tells whether a user name is one of the project's: its id, a hyphen, and digits. */
export function isUserOf(projectId: string, username: string): boolean {
  return username.startsWith(`${projectId}-`) && /^[0-9]+$/.test(username.slice(projectId.length + 1));
}
