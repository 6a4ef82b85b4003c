import type { Connection } from "@platformatic/kafka";

/** What a probe works with: a connection of the project that tries, and names. */
export interface Ground {
  /** Of a user of the project that tries. */
  readonly connection: Connection;
  /** The prefix of the project that tries. It has a topic "orders". */
  readonly own: string;
  /** The prefix of the other project. It has a topic "orders" and a group "group". */
  readonly other: string;
  /** The prefix of a third project, whose id begins with the id of the project that tries. It has a topic "orders". */
  readonly longer: string;
  /** The id of the other project's topic. */
  readonly otherTopicId: string;
  readonly ownUser: string;
  readonly otherUser: string;
}

/**
 * One request with a project's credentials: what is tried, the request in words, and the request. It resolves to the
 * names that Kafka tells, if it tells names.
 */
export type Probe = readonly [what: string, request: string, send: (ground: Ground) => Promise<unknown>];
