import type { KeyObject } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { nameCostlyRead } from "../db/costly-read.ts";
import type { Shares } from "../db/shares.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
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
}

type Handlers = ServiceImplementation<typeof DispatcherService>;

/** Makes the gRPC handlers. Each converts the request, calls an operation, and converts the result. */
export function createDispatcherService(parts: ServiceParts): Handlers {
  const { apiDatabase, clock, masterKey } = parts;
  return {
    accept: (requests, { signal }) =>
      answerBatches(requests, (events) => acceptEvents(parts, events), signal),
    ...createReadHandlers(apiDatabase),
    createSigningKey: async ({ projectId }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      const key = await createSigningKey({ database, masterKey, pause }, projectId, clock.now());
      const signingKey = { id: key.id, createTime: timestampFromMs(key.createTimeMs) };
      return { response: { signingKey, secret: key.secret } };
    },
  };
}

function createReadHandlers(
  database: Shares,
): Pick<Handlers, "getTrigger" | "listTriggers" | "listAttempts"> {
  return {
    getTrigger: ({ projectId, request }, { signal }) =>
      nameCostlyRead(async () => {
        const row = await readTrigger(database.of(projectId, signal), projectId, required(request).id);
        return { response: { trigger: toTrigger(row) } };
      }),
    listTriggers: ({ projectId, request, jobUids }, { signal }) =>
      nameCostlyRead(async () => {
        const query = { projectId, request: required(request), jobUids };
        const page = await listTriggers(database.of(projectId, signal), query, signal);
        return { response: { triggers: page.triggers.map(toTrigger), nextPageToken: page.nextPageToken } };
      }),
    listAttempts: ({ projectId, request }, { signal }) =>
      nameCostlyRead(async () => {
        const { trigger } = required(request);
        const rows = await readAttempts(database.of(projectId, signal), projectId, trigger);
        return { response: { attempts: rows.map(toAttempt) } };
      }),
  };
}

function required<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
