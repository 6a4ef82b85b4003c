import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { SigningKeyService } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** The handlers of SigningKeyService. */
export function createSigningKeyService(
  dispatcher: GrpcClient<typeof DispatcherService>,
): ServiceImpl<typeof SigningKeyService> {
  return {
    createSigningKey: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await dispatcher.createSigningKey({ projectId, request }, toCallOptions(context)));
    },
  };
}
