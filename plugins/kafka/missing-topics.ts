import type { AdminSession, KafkaAdmin } from "./admin.ts";
import { readLimits } from "./limits.ts";
import { collisionOf, prefixOf } from "./names.ts";
import { createTopic, listTopics, toDefaultPlan, untilLed } from "./topics.ts";

/** Makes the topics that deliveries need. */
export interface MissingTopics {
  /**
   * Creates those of a project's topics that do not exist, as the project's limits say. Returns why each of the others
   * could not be made, by its full name, in words for the customer. Several services at once may go over the limit of
   * topics by a few. Throws SERVICE_UNAVAILABLE if Kafka does not answer.
   */
  ensure(
    projectId: string,
    topics: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>>;
}

/** How long a refusal is remembered: a job that fires each second must not make Kafka list its topics each second. */
const REFUSED_MS = 5_000;
const MAX_REMEMBERED = 10_000;

/** Creates it. `nowMs` is a clock that never goes back. */
export function createMissingTopics(admin: KafkaAdmin, nowMs: () => number): MissingTopics {
  const refused = new Map<string, { readonly error: string; readonly untilMs: number }>();
  const remember = (topic: string, error: string) => {
    const [oldest] = refused.keys();
    if (refused.size >= MAX_REMEMBERED && oldest !== undefined) refused.delete(oldest);
    refused.set(topic, { error, untilMs: nowMs() + REFUSED_MS });
  };
  return {
    ensure: async (projectId, topics, signal) => {
      const now = nowMs();
      const known = topics.filter((topic) => (refused.get(topic)?.untilMs ?? 0) > now);
      const others = topics.filter((topic) => !known.includes(topic));
      const errors = new Map(known.map((topic) => [topic, refused.get(topic)?.error ?? ""]));
      if (others.length === 0) return errors;
      const found = await admin.run(signal, (session) => create(session, projectId, others));
      for (const [topic, error] of found) {
        remember(topic, error);
        errors.set(topic, error);
      }
      return errors;
    },
  };
}

async function create(
  { client, connection }: AdminSession,
  projectId: string,
  topics: readonly string[],
): Promise<Map<string, string>> {
  const existing = await listTopics(connection, prefixOf(projectId));
  const errors = new Map<string, string>();
  const limits = await readLimits(connection, projectId);
  const made: string[] = [];
  const nameOf = (topic: string) => JSON.stringify(topic.slice(prefixOf(projectId).length));
  for (const topic of topics) {
    if (existing.has(topic)) continue;
    const name = nameOf(topic);
    const other = collisionOf(topic, [...existing.keys(), ...made]);
    if (limits === undefined) {
      errors.set(topic, `The topic ${name} does not exist, and the project's Kafka plugin is not set up.`);
    } else if (existing.size + made.length >= limits.topics) {
      const remedy = "Delete a topic, or raise the limit of the plugin.";
      errors.set(topic, `The topic ${name} cannot be made: the limit is ${limits.topics} topics. ${remedy}`);
    } else if (other !== undefined) {
      const remedy = `For Kafka it is the same as ${nameOf(other)}, because "." is like "_"; use another name.`;
      errors.set(topic, `The topic ${name} cannot be made. ${remedy}`);
    } else {
      const plan = toDefaultPlan(topic, limits);
      await createTopic(connection, plan, limits);
      await untilLed(client, plan);
      made.push(topic);
    }
  }
  return errors;
}
