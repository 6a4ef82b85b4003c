import type { KeyObject } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { limitCost } from "../db/costly-read.ts";
import type { Shares } from "../db/shares.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { Logger } from "../mesh/logger.ts";
import { pause } from "../mesh/pause.ts";
import { type AcceptParts, acceptEvents } from "./accepting/accept.ts";
import { answerBatches } from "./accepting/accept-stream.ts";
import { listTriggers } from "./reading/list-triggers.ts";
import { readAttempts, readTrigger, toAttempt, toTrigger } from "./reading/read-triggers.ts";
import { createSigningKey } from "./signing-keys/signing-keys.ts";

/** What the handlers need. */
export interface ServiceParts extends AcceptParts {
  /** For calls of customers. */
  readonly apiDatabase: Shares;
  readonly masterKey: KeyObject;
  readonly logger: Logger;
}

/** Makes the gRPC handlers. Each converts the request, calls an operation, and converts the result. */
export function createDispatcherService(
  parts: ServiceParts,
): ServiceImplementation<typeof DispatcherService> {
  const { apiDatabase, clock, masterKey, logger } = parts;
  return {
    accept: (requests, { signal }) =>
      answerBatches(requests, { accept: (events) => acceptEvents(parts, events), logger }, signal),
    getTrigger: async ({ projectId, request }, { signal }) => {
      const row = await readTrigger(apiDatabase.of(projectId, signal), projectId, required(request).id);
      return { response: { trigger: toTrigger(row) } };
    },
    listTriggers: async ({ projectId, request, jobUids }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      const page = await limitCost(() =>
        listTriggers(database, { projectId, request: required(request), jobUids }, signal),
      );
      return { response: { triggers: page.triggers.map(toTrigger), nextPageToken: page.nextPageToken } };
    },
    listAttempts: async ({ projectId, request }, { signal }) => {
      const rows = await readAttempts(
        apiDatabase.of(projectId, signal),
        projectId,
        required(request).trigger,
      );
      return { response: { attempts: rows.map(toAttempt) } };
    },
    createSigningKey: async ({ projectId }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      const key = await createSigningKey({ database, masterKey, pause }, projectId, clock.now());
      const signingKey = { id: key.id, createTime: timestampFromMs(key.createTimeMs) };
      return { response: { signingKey, secret: key.secret } };
    },
  };
}

function required<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
