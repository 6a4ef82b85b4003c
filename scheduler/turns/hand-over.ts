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

/** An event that a dispatcher cannot record, for a reason that lies in the event itself. */
export interface RefusedEvent {
  readonly triggerId: string;
  readonly problem: string;
}

/** Hands trigger events over to the dispatchers. */
export interface HandOver {
  /**
   * Sends events and resolves when a dispatcher has made them durable, except for those that it refuses, which are
   * returned. The same events may be sent any number of times. Throws SERVICE_UNAVAILABLE when no dispatcher confirms within the time limit; the events may then be
   * recorded or not.
   */
  send(events: readonly TriggerEventInit[]): Promise<readonly RefusedEvent[]>;
  /** Ends the streams. */
  close(): void;
}

/** A batch that was sent and not yet answered. */
interface SentBatch {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** One long-lived stream to a dispatcher. */
interface AcceptStream {
  readonly call: ReturnType<GrpcClient<typeof DispatcherService>["accept"]>;
  /** By batch id. */
  readonly sent: Map<bigint, SentBatch>;
  isBroken: boolean;
}

/**
 * Keeps `streams` long-lived streams to the dispatchers. Each opens at its first use; the channel's round robin puts
 * streams that open one after the other on different dispatchers. Batches go to the streams in rotation. When a stream
 * breaks, its unanswered batches fail, and the next batch opens it again. An answer that takes longer than `timeoutMs`
 * breaks the stream.
 */
export function createHandOver(
  client: GrpcClient<typeof DispatcherService>,
  options: { readonly streams: number; readonly timeoutMs: number },
): HandOver {
  const streams: (AcceptStream | undefined)[] = Array.from({ length: options.streams });
  let latest = 0;
  let lastBatchId = 0n;

  const nextStream = (): AcceptStream => {
    latest = (latest + 1) % streams.length;
    const open = streams[latest];
    if (open !== undefined && !open.isBroken) return open;
    const stream: AcceptStream = { call: client.accept(), sent: new Map(), isBroken: false };
    streams[latest] = stream;
    void receive(stream);
    return stream;
  };

  const sendBatch = (events: readonly TriggerEventInit[]): Promise<void> => {
    const stream = nextStream();
    lastBatchId += 1n;
    const batchId = lastBatchId;
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        breakStream(stream, unavailable());
      }, options.timeoutMs);
      stream.sent.set(batchId, { resolve, reject, timer });
      const request: MessageInitShape<typeof AcceptRequestSchema> = { batchId, events: [...events] };
      stream.call.send(request).catch((error: unknown) => breakStream(stream, error));
    });
  };

  return {
    send: async (events) => {
      const batches: Promise<void>[] = [];
      for (let from = 0; from < events.length; from += MAX_BATCH) {
        batches.push(sendBatch(events.slice(from, from + MAX_BATCH)));
      }
      await Promise.all(batches);
      return [];
    },
    close: () => {
      for (const stream of streams) if (stream !== undefined && !stream.isBroken) stream.call.end();
    },
  };
}

async function receive(stream: AcceptStream): Promise<void> {
  try {
    for await (const response of stream.call.responses) answer(stream, response);
    breakStream(stream, unavailable());
  } catch (error) {
    breakStream(stream, error);
  }
}

/** Resolves or rejects the batch that a response is about. */
function answer(stream: AcceptStream, { batchId, errorCode, errorMessage }: AcceptResponse): void {
  const batch = stream.sent.get(batchId);
  if (batch === undefined) return;
  stream.sent.delete(batchId);
  clearTimeout(batch.timer);
  if (errorCode === 0) batch.resolve();
  else batch.reject(unavailable(new Error(`accept: code ${errorCode}: ${errorMessage}`)));
}

/** Closes a stream and fails its unanswered batches. */
function breakStream(stream: AcceptStream, error: unknown): void {
  if (stream.isBroken) return;
  stream.isBroken = true;
  stream.call.cancel();
  for (const batch of stream.sent.values()) {
    clearTimeout(batch.timer);
    batch.reject(error);
  }
  stream.sent.clear();
}

function unavailable(cause?: Error): Error {
  const options = { retryAfterMs: 1_000, ...(cause === undefined ? {} : { cause }) };
  return failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, options);
}
