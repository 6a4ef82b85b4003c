import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { SigningKeyService } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";

/** Returns the handlers of SigningKeyService. The dispatcher answers them all. */
export function createSigningKeyService(
  dispatcher: GrpcClient<typeof DispatcherService>,
): ServiceImpl<typeof SigningKeyService> {
  return {
    createSigningKey: forward(dispatcher.createSigningKey),
    listSigningKeys: forward(dispatcher.listSigningKeys),
    rotateSigningKey: forward(dispatcher.rotateSigningKey),
    revokeSigningKey: forward(dispatcher.revokeSigningKey),
  };
}
