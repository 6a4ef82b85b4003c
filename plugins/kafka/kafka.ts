import { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import { createFailureLog } from "../failure-log.ts";
import type { Plugin } from "../plugin.ts";
import { createKafkaAdmin } from "./admin.ts";
import { deliver } from "./deliver.ts";
import { createMissingTopics } from "./missing-topics.ts";
import { createProducer } from "./producer.ts";
import { createProducers } from "./producers.ts";
import { provision } from "./provision.ts";
import { remove } from "./remove.ts";
import type { KafkaSettings } from "./settings.ts";
import { measureUsage } from "./usage.ts";

/** Who asks waits for the plugins of all kinds, at most 3 s. So a silent Kafka must not take that long. */
const DESCRIBE_TIMEOUT_MS = 1_000;
const MAX_ACTIVE_PROJECTS = 200;
const IDLE_MS = 60_000;

/**
 * Creates the plugin for a managed Kafka. It connects when it is used first.
 *
 * Messages are written by kafkajs, with a producer for each project. What the administrator does (users, rights, quotas,
 * topics) goes through @platformatic/kafka, because kafkajs 2.2.4 has no calls for SCRAM users, quotas and incremental
 * changes of configurations.
 */
export function createKafkaPlugin(settings: KafkaSettings): Plugin {
  const { logger } = settings;
  const admin = createKafkaAdmin(settings);
  const producers = createProducers({
    create: () => createProducer(settings),
    maxActive: MAX_ACTIVE_PROJECTS,
    idleMs: IDLE_MS,
  });
  const parts = {
    producers,
    topics: createMissingTopics(admin, () => performance.now()),
    onFailure: createFailureLog(logger, "Kafka did not take messages"),
  };
  return {
    describe: async () => ({
      kind: PluginKind.KAFKA,
      endpoint: settings.publicAddress ?? settings.brokers.join(","),
      defaultLimits: settings.defaultLimits,
      maxLimits: settings.maxLimits,
      problem: await findProblem(admin),
    }),
    deliver: (request, signal) => deliver(parts, request, signal),
    provision: async (request, signal) => ({
      missingUsernames: await admin.run(signal, (session) => provision(session, request)),
    }),
    remove: (projectId, signal) => admin.run(signal, (session) => remove(session, projectId, logger)),
    measureUsage: (projectIds, signal) =>
      admin.run(signal, (session) => measureUsage(session, projectIds, Date.now())),
    close: async () => {
      producers.close();
      await admin.close();
    },
  };
}

async function findProblem(admin: ReturnType<typeof createKafkaAdmin>): Promise<string> {
  try {
    const signal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
    await admin.run(signal, ({ client }) => client.metadata({ topics: [], forceUpdate: true }));
    return "";
  } catch {
    return "The managed Kafka does not answer.";
  }
}
