import type { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { Delivery, Outcome } from "./outcome.ts";
import type { SpecTarget } from "./spec.ts";
import type { StartedAttempt } from "./started-attempt.ts";
import { toWebhookBody } from "./webhook-body.ts";

/** Sends attempts at plugin targets to the plugin-delivery service. */
export interface PluginDelivery {
  /** Makes one attempt. Never throws. */
  deliver(attempt: StartedAttempt, target: SpecTarget & { readonly kind: "plugin" }): Promise<Delivery>;
}

/** Makes a plugin delivery that uses a client of the plugin-delivery service. */
export function createPluginDelivery(
  client: Pick<GrpcClient<typeof PluginsService>, "deliver">,
): PluginDelivery {
  return {
    deliver: async (attempt, target) => {
      const { trigger, spec, number } = attempt;
      const body = Buffer.from(toWebhookBody(trigger, number, trigger.payload ?? spec.payload));
      const message = { triggerId: trigger.id, target: toTarget(target), body };
      const request = { projectId: trigger.projectId, messages: [message] };
      try {
        const { deliveries } = await client.deliver(request, { deadlineMs: spec.attemptTimeoutMs });
        const answer = deliveries.find(({ triggerId }) => triggerId === trigger.id);
        return { outcome: toOutcome(answer?.outcome), error: answer?.error ?? "", responseBody: "" };
      } catch (error) {
        return toFailedCall(error, target.plugin);
      }
    },
  };
}

function toTarget(target: SpecTarget & { readonly kind: "plugin" }) {
  const { plugin, destination } = target;
  return plugin === "redis"
    ? {
        kind: {
          case: "redis" as const,
          value: { destination: { case: "stream" as const, value: destination } },
        },
      }
    : { kind: { case: "kafka" as const, value: { topic: destination } } };
}

function toOutcome(outcome: AttemptOutcome | undefined): Outcome {
  switch (outcome) {
    case AttemptOutcome.SUCCEEDED:
      return { kind: "SUCCEEDED", statusCode: null };
    case AttemptOutcome.REJECTED:
      return { kind: "REJECTED", statusCode: null, isFinal: false, retryAfterMs: undefined };
    case AttemptOutcome.NOT_SENT:
      return { kind: "NOT_SENT" };
    default:
      return { kind: "UNKNOWN" };
  }
}

// A call that was refused before it was served has written nothing. After any other error, the outcome is unknown.
function toFailedCall(error: unknown, plugin: string): Delivery {
  const known = EasyCronError.from(error);
  const isUnserved = known.reason === "METHOD_UNIMPLEMENTED" || known.reason === "PLUGIN_NOT_ENABLED";
  const words = isUnserved
    ? `The ${plugin} plugin does not deliver yet.`
    : `The ${plugin} plugin did not answer; the message may have been written.`;
  return {
    outcome: { kind: isUnserved ? "NOT_SENT" : "UNKNOWN" },
    error: words,
    responseBody: "",
    cause: error,
  };
}
