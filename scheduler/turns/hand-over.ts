import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AcceptRequestSchema,
  AcceptResponse,
  DispatcherService,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { TriggerEventInit } from "../job/chain.ts";

/** Largest number of events in one message of the stream. */
export const MAX_BATCH = 1_000;

/** Hands trigger events to the dispatchers. */
export interface HandOver {
  /**
   * Resolves when a dispatcher has made all events durable. They may be sent again any number of times. Throws
   * SERVICE_UNAVAILABLE when that is not known within the time limit.
   */
  send(events: readonly TriggerEventInit[]): Promise<void>;
  /** Ends the streams. */
  close(): void;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

interface Lane {
  readonly stream: ReturnType<GrpcClient<typeof DispatcherService>["accept"]>;
  readonly waiting: Map<bigint, Waiting>;
  broken: boolean;
}

/**
 * Opens `lanes` long-lived streams, each at its first use; the channel's round robin puts neighbours on different
 * dispatchers. Batches go to the lanes in turn. A lane that breaks fails what it carries and is opened anew.
 */
export function createHandOver(
  client: GrpcClient<typeof DispatcherService>,
  options: { readonly lanes: number; readonly timeoutMs: number },
): HandOver {
  const lanes: (Lane | undefined)[] = Array.from({ length: options.lanes });
  let turn = 0;
  let lastBatchId = 0n;

  const laneInTurn = (): Lane => {
    turn = (turn + 1) % lanes.length;
    const open = lanes[turn];
    if (open !== undefined && !open.broken) return open;
    const lane: Lane = { stream: client.accept(), waiting: new Map(), broken: false };
    lanes[turn] = lane;
    void receive(lane);
    return lane;
  };

  const sendBatch = (events: readonly TriggerEventInit[]): Promise<void> => {
    const lane = laneInTurn();
    lastBatchId += 1n;
    const batchId = lastBatchId;
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        breakLane(lane, failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { retryAfterMs: 1_000 }));
      }, options.timeoutMs);
      lane.waiting.set(batchId, { resolve, reject, timer });
      const request: MessageInitShape<typeof AcceptRequestSchema> = { batchId, events: [...events] };
      lane.stream.send(request).catch((error: unknown) => breakLane(lane, error));
    });
  };

  return {
    send: async (events) => {
      const batches: Promise<void>[] = [];
      for (let from = 0; from < events.length; from += MAX_BATCH) {
        batches.push(sendBatch(events.slice(from, from + MAX_BATCH)));
      }
      await Promise.all(batches);
    },
    close: () => {
      for (const lane of lanes) if (lane !== undefined && !lane.broken) lane.stream.end();
    },
  };
}

async function receive(lane: Lane): Promise<void> {
  try {
    for await (const response of lane.stream.responses) settle(lane, response);
    breakLane(lane, failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { retryAfterMs: 1_000 }));
  } catch (error) {
    breakLane(lane, error);
  }
}

function settle(lane: Lane, response: AcceptResponse): void {
  const waiting = lane.waiting.get(response.batchId);
  if (waiting === undefined) return;
  lane.waiting.delete(response.batchId);
  clearTimeout(waiting.timer);
  if (response.errorCode === 0) waiting.resolve();
  else {
    const cause = new Error(`accept: code ${response.errorCode}: ${response.errorMessage}`);
    waiting.reject(failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { cause, retryAfterMs: 1_000 }));
  }
}

function breakLane(lane: Lane, error: unknown): void {
  if (lane.broken) return;
  lane.broken = true;
  lane.stream.cancel();
  for (const waiting of lane.waiting.values()) {
    clearTimeout(waiting.timer);
    waiting.reject(error);
  }
  lane.waiting.clear();
}
