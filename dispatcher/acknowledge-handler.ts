import { durationMs } from "@bufbuild/protobuf/wkt";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { Acknowledgement } from "../gen/easycron/v1/trigger_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { type Acknowledged, type AcknowledgeParts, acknowledge } from "./acknowledging/acknowledge.ts";
import { presentTriggers } from "./reading/read-triggers.ts";
import { requireRequest } from "./require-request.ts";

/** Makes the gRPC handler of acknowledgements. */
export function createAcknowledgeHandler(
  parts: AcknowledgeParts,
): ServiceImplementation<typeof DispatcherService>["acknowledgeTrigger"] {
  return async ({ request }, { signal }) => {
    const { id, token, message, outcome, extendBy } = requireRequest(request);
    const extendByMs = extendBy === undefined ? 0 : durationMs(extendBy);
    const given = { id, token, message, outcome: toOutcome(outcome), extendByMs };
    const { projectId, trigger: row, late } = await acknowledge(parts, given, signal);
    const [trigger] = await presentTriggers(parts.apiDatabase.of(projectId, signal), projectId, [row]);
    return { response: { trigger, isLate: late !== "", explanation: late } };
  };
}

function toOutcome(outcome: Acknowledgement): Acknowledged["outcome"] {
  if (outcome === Acknowledgement.FAILED) return "FAILED";
  return outcome === Acknowledgement.EXTENDED ? "EXTENDED" : "SUCCEEDED";
}
