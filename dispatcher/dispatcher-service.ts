import { limitCost } from "../db/costly-read.ts";
import type {
  AcceptRequest,
  DispatcherService,
} from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { Logger } from "../mesh/logger.ts";
import { type AcceptParts, acceptEvents } from "./accepting/accept.ts";
import { answerBatches } from "./accepting/accept-stream.ts";
import { createAcknowledgeHandler } from "./acknowledge-handler.ts";
import type { AcknowledgeParts } from "./acknowledging/acknowledge.ts";
import { createProjectAlertHandlers } from "./project-alert-handlers.ts";
import { listTriggers } from "./reading/list-triggers.ts";
import { presentTriggers, readAttempts, readTrigger, toAttempt } from "./reading/read-triggers.ts";
import { requireRequest } from "./require-request.ts";
import { createRetentionHandlers } from "./retention-handlers.ts";
import { createSigningKeyHandlers, type SigningKeyParts } from "./signing-key-handlers.ts";
import { sealSecrets } from "./target-secrets/seal-secrets.ts";
import type { TriggerTraces } from "./tracing/trigger-traces.ts";

/** What the handlers need. */
export interface ServiceParts extends AcceptParts, SigningKeyParts, AcknowledgeParts {
  readonly logger: Logger;
  /** Records the traces of triggers; absent when nobody gets them. */
  readonly traces?: TriggerTraces | undefined;
}

/** Makes the gRPC handlers. Each converts the request, calls an operation, and converts the result. */
export function createDispatcherService(
  parts: ServiceParts,
): ServiceImplementation<typeof DispatcherService> {
  const { apiDatabase, logger, traces, clock } = parts;
  const accept = async (request: AcceptRequest) => {
    const startMs = clock.now();
    const answer = await acceptEvents(parts, request);
    traces?.accepted(request, answer, startMs);
    return answer;
  };
  return {
    accept: (requests, { signal }) => answerBatches(requests, { accept, logger }, signal),
    getTrigger: async ({ projectId, request }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      const row = await readTrigger(database, projectId, requireRequest(request).id);
      const [trigger] = await presentTriggers(database, projectId, [row]);
      return { response: { trigger } };
    },
    listTriggers: async ({ projectId, request, jobUids }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      return limitCost(async () => {
        const query = { projectId, request: requireRequest(request), jobUids };
        const page = await listTriggers(database, query, signal);
        const triggers = await presentTriggers(database, projectId, page.triggers);
        return { response: { triggers, nextPageToken: page.nextPageToken } };
      });
    },
    listAttempts: async ({ projectId, request }, { signal }) => {
      const rows = await readAttempts(
        apiDatabase.of(projectId, signal),
        projectId,
        requireRequest(request).trigger,
      );
      return { response: { attempts: rows.map(toAttempt) } };
    },
    acknowledgeTrigger: createAcknowledgeHandler(parts),
    ...createSigningKeyHandlers(parts),
    ...createRetentionHandlers(apiDatabase),
    ...createProjectAlertHandlers(parts),
    sealSecrets: async ({ projectId, secrets, validateOnly }, { signal }) => {
      const { masterKeys, clock } = parts;
      const sealing = { database: apiDatabase.of(projectId, signal), masterKeys, clock };
      return { ids: await sealSecrets(sealing, projectId, { secrets, validateOnly }) };
    },
  };
}
