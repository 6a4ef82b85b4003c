import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeliverRequest,
  DeliverySchema,
  PluginsService,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { AttemptOutcome } from "../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { CallContext, ServiceImplementation } from "../mesh/grpc-service.ts";
import type { Logger } from "../mesh/logger.ts";
import { createInFlight, type InFlight } from "./in-flight.ts";
import type { MeasureDeliveries } from "./measure-deliveries.ts";
import type { Plugin } from "./plugin.ts";
import { checkBatch, checkMeasure, checkProjectId, checkProvision } from "./request-rules.ts";

/** The plugins that the operator has set up, by their kinds. */
export type Plugins = ReadonlyMap<PluginKind, Plugin>;

type Deliveries = MessageInitShape<typeof DeliverySchema>[];

/** How long before the caller's deadline the outcomes of a batch are sent, so that they arrive in time. */
const ANSWER_AHEAD_MS = 200;
/** The longest that a batch takes, whatever the deadline. */
const MAX_BATCH_MS = 30_000;
/** The longest that any other call takes without a deadline. */
const MAX_CALL_MS = 600_000;
/** What may be in flight to one broker. */
const IN_FLIGHT = { maxMessages: 20_000, maxBytes: 64 * 1024 ** 2 };

/** Creates the handlers of PluginsService. They check each request and pass it to the plugin of its kind. */
export function createPluginsService(
  plugins: Plugins,
  logger: Logger,
  measure: MeasureDeliveries = () => {},
): ServiceImplementation<typeof PluginsService> {
  const inFlight = new Map([...plugins.keys()].map((kind) => [kind, createInFlight(IN_FLIGHT)]));

  const find = (kind: PluginKind): Plugin => {
    const plugin = plugins.get(kind);
    if (plugin === undefined) throw failure("PLUGIN_NOT_AVAILABLE", { plugin: nameOf(kind) });
    return plugin;
  };

  const deliver = async (
    kind: PluginKind,
    request: DeliverRequest,
    context: CallContext,
  ): Promise<Deliveries> => {
    const plugin = find(kind);
    const leave = enter(inFlight.get(kind), request);
    if (leave === undefined) {
      const error = `Too many messages are on their way to ${nameOf(kind)}; this one was not sent.`;
      return allOf(request, AttemptOutcome.NOT_SENT, error);
    }
    const signal = batchSignal(context);
    try {
      return await orUnknown(plugin.deliver(request, signal), request, signal);
    } catch (error) {
      // A fault of ours. The messages may have been written, and one bad message must not fail others in silence.
      logger.error({ err: error, projectId: request.projectId }, "a batch could not be delivered");
      const words = "EasyCron failed on this message; it may have been written.";
      return allOf(request, AttemptOutcome.UNKNOWN, words);
    } finally {
      leave();
    }
  };

  return {
    deliver: async (request, context) => {
      const kind = checkBatch(request);
      const beganMs = performance.now();
      const deliveries = await deliver(kind, request, context);
      measure(kind, deliveries, performance.now() - beganMs);
      return { deliveries };
    },
    describePlugins: async ({ kind }) => {
      const asked = [...plugins].filter(([each]) => kind === PluginKind.UNSPECIFIED || each === kind);
      return { offers: await Promise.all(asked.map(([, plugin]) => plugin.describe())) };
    },
    provision: async (request, context) => {
      const plugin = find(request.kind);
      checkProvision(request);
      return plugin.provision(request, callSignal(context));
    },
    remove: async ({ kind, projectId }, context) => {
      const plugin = find(kind);
      checkProjectId(projectId);
      await plugin.remove(projectId, callSignal(context));
      return {};
    },
    measureUsage: async (request, context) => {
      const plugin = find(request.kind);
      checkMeasure(request);
      return { usages: await plugin.measureUsage(request.projectIds, callSignal(context)) };
    },
  };
}

function nameOf(kind: PluginKind): string {
  if (kind === PluginKind.REDIS) return "Redis";
  return kind === PluginKind.KAFKA ? "Kafka" : "unspecified";
}

function enter(inFlight: InFlight | undefined, { projectId, messages }: DeliverRequest) {
  const bytes = messages.reduce((sum, { body }) => sum + body.length, 0);
  return inFlight?.enter(projectId, messages.length, bytes);
}

/** Returns the same outcome for each message of a batch. */
function allOf({ messages }: DeliverRequest, outcome: AttemptOutcome, error: string): Deliveries {
  return messages.map(({ triggerId }) => ({ triggerId, outcome, error }));
}

// When the caller has gone, what is under way is finished all the same: its outcome is then UNKNOWN to the caller, and a
// broker that is given up half-way would leave more of that.
function batchSignal({ deadlineMs = MAX_BATCH_MS }: CallContext): AbortSignal {
  return AbortSignal.timeout(Math.max(1, Math.min(deadlineMs - ANSWER_AHEAD_MS, MAX_BATCH_MS)));
}

function callSignal({ signal, deadlineMs = MAX_CALL_MS }: CallContext): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, deadlineMs))]);
}

/** Waits for a plugin's outcomes. One that is not done in time has outcomes that are not known. */
function orUnknown(
  delivering: Promise<Deliveries>,
  request: DeliverRequest,
  signal: AbortSignal,
): Promise<Deliveries> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      const words = "The broker did not answer in time; the message may have been written.";
      // The plugin itself answers when the signal is aborted. This is for one that does not.
      setTimeout(() => resolve(allOf(request, AttemptOutcome.UNKNOWN, words)), ANSWER_AHEAD_MS / 2);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    delivering.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
