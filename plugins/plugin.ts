import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeliverRequest,
  DeliverySchema,
  PluginOfferSchema,
  ProjectUsageSchema,
  ProvisionRequest,
  ProvisionResponseSchema,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";

/**
 * One kind of broker: what the service does with it. Each method may be called at any time, also by several callers.
 * The service has checked the requests: see request-rules.ts.
 */
export interface Plugin {
  /** Tells where customers connect, what the limits are, and whether the broker answers. Never throws. */
  describe(): Promise<MessageInitShape<typeof PluginOfferSchema>>;
  /**
   * Writes a batch of one project. Returns the outcome of each message, in their order, at the latest when `signal` is
   * aborted; that is a little before the caller's deadline. Never throws for what the broker does.
   */
  deliver(request: DeliverRequest, signal: AbortSignal): Promise<MessageInitShape<typeof DeliverySchema>[]>;
  /** Makes a project's space as described (see the proto). Throws SERVICE_UNAVAILABLE if the broker does not answer. */
  provision(
    request: ProvisionRequest,
    signal: AbortSignal,
  ): Promise<MessageInitShape<typeof ProvisionResponseSchema>>;
  /** Removes everything of a project. Throws SERVICE_UNAVAILABLE if the broker does not answer. */
  remove(projectId: string, signal: AbortSignal): Promise<void>;
  /** Measures what the projects use. Throws SERVICE_UNAVAILABLE if the broker does not answer. */
  measureUsage(
    projectIds: readonly string[],
    signal: AbortSignal,
  ): Promise<MessageInitShape<typeof ProjectUsageSchema>[]>;
  /** Closes all connections. */
  close(): Promise<void>;
}
