import type { KeyObject } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Pool } from "../db/pool.ts";
import { createReadShare, readsAtOnce } from "../db/share-reads.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { pause } from "../mesh/pause.ts";
import { type AcceptParts, acceptEvents } from "./accepting/accept.ts";
import { answerBatches } from "./accepting/accept-stream.ts";
import { listTriggers } from "./reading/list-triggers.ts";
import { readAttempts, readTrigger, toAttempt, toTrigger } from "./reading/read-triggers.ts";
import { createSigningKey } from "./signing-keys/signing-keys.ts";

/** The connections that the handlers of customers' calls use. */
export interface ApiPool extends Pick<Pool, "until"> {
  /** How many connections the pool has at most. */
  readonly connections: number;
}

/** What the handlers need. */
export interface ServiceParts extends AcceptParts {
  readonly api: ApiPool;
  readonly masterKey: KeyObject;
}

type Handlers = ServiceImplementation<typeof DispatcherService>;

/** Makes the gRPC handlers. Each converts the request, calls an operation, and converts the result. */
export function createDispatcherService(parts: ServiceParts): Handlers {
  const { api, clock, masterKey } = parts;
  return {
    accept: (requests, { signal }) =>
      answerBatches(requests, (events) => acceptEvents(parts, events), signal),
    ...createReadHandlers(api),
    createSigningKey: async ({ projectId }, { signal }) => {
      const database = api.until(signal);
      const key = await createSigningKey({ database, masterKey, pause }, projectId, clock.now());
      const signingKey = { id: key.id, createTime: timestampFromMs(key.createTimeMs) };
      return { response: { signingKey, secret: key.secret } };
    },
  };
}

/** The reads of one project use at most half of the connections at the same time. */
function createReadHandlers(api: ApiPool): Pick<Handlers, "getTrigger" | "listTriggers" | "listAttempts"> {
  const share = createReadShare({ atOnce: readsAtOnce(api.connections) });
  return {
    getTrigger: ({ projectId, request }, { signal }) =>
      share.run(projectId, signal, async () => {
        const row = await readTrigger(api.until(signal), projectId, required(request).id);
        return { response: { trigger: toTrigger(row) } };
      }),
    listTriggers: ({ projectId, request, jobUids }, { signal }) =>
      share.run(projectId, signal, async () => {
        const query = { projectId, request: required(request), jobUids };
        const page = await listTriggers(api.until(signal), query, signal);
        return { response: { triggers: page.triggers.map(toTrigger), nextPageToken: page.nextPageToken } };
      }),
    listAttempts: ({ projectId, request }, { signal }) =>
      share.run(projectId, signal, async () => {
        const rows = await readAttempts(api.until(signal), projectId, required(request).trigger);
        return { response: { attempts: rows.map(toAttempt) } };
      }),
  };
}

function required<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
