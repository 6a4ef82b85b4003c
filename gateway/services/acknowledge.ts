import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import {
  Acknowledgement,
  type AcknowledgeTriggerRequest,
  type TriggerService,
} from "../../gen/easycron/v1/trigger_service_pb.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { toCallOptions } from "./call-options.ts";
import { answered } from "./forward.ts";

/** Most calls of this method at once, in all, and of those whose tokens name one project. */
const MOST = 256;
const MOST_OF_ONE = 32;

/**
 * Makes the handler of AcknowledgeTrigger. Nobody has authenticated its caller: the dispatcher checks the token. So only
 * some calls may be under way at once, and the calls of one project leave room for others. Throws FIELD_INVALID,
 * TOO_MANY_CALLS, and what the dispatcher throws.
 */
export function createAcknowledge(
  dispatcher: Pick<GrpcClient<typeof DispatcherService>, "acknowledgeTrigger">,
): ServiceImpl<typeof TriggerService>["acknowledgeTrigger"] {
  const running = new Map<string, number>();
  let all = 0;
  return async (request, context) => {
    checkExtension(request);
    const [project = ""] = request.token.split(".", 1);
    const same = running.get(project) ?? 0;
    if (all >= MOST || same >= MOST_OF_ONE) throw failure("TOO_MANY_CALLS", {}, { retryAfterMs: 1_000 });
    all += 1;
    running.set(project, same + 1);
    try {
      return answered(await dispatcher.acknowledgeTrigger({ request }, toCallOptions(context)));
    } finally {
      all -= 1;
      const rest = (running.get(project) ?? 1) - 1;
      if (rest === 0) running.delete(project);
      else running.set(project, rest);
    }
  };
}

function checkExtension({ outcome, extendBy }: AcknowledgeTriggerRequest): void {
  const isExtension = outcome === Acknowledgement.EXTENDED;
  if (isExtension === (extendBy !== undefined)) return;
  const problem = isExtension
    ? 'It is required with ACKNOWLEDGEMENT_EXTENDED; send a duration such as "600s".'
    : "It is only for ACKNOWLEDGEMENT_EXTENDED; leave it out, or send that outcome.";
  throw fieldFailure("FIELD_INVALID", "extendBy", problem);
}
