import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AcceptRequestSchema,
  AcceptResponse,
  DispatcherService,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { Logger } from "../../mesh/logger.ts";
import { untilSocketsRead } from "../../mesh/until-read.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { Dispatcher, Dispatchers } from "./dispatchers.ts";
import { chooseNode, hashOf } from "./rendezvous.ts";

/** Largest number of events in one message of the stream. */
export const MAX_BATCH = 1_000;
/**
 * Most batches that one call of `send` has under way at a dispatcher. A change of many jobs with a long backlog hands
 * over far more events than a dispatcher records within the time limit, and the ticks' batches are on the same stream.
 */
const UNDER_WAY = 2;

/** An event that was not recorded, although the others of its batch were. */
export interface RefusedEvent {
  readonly triggerId: string;
  /** Why, in English, for logs and operators; at most 256 characters. */
  readonly problem: string;
  /**
   * True: the same event can be recorded a moment later, for example because another transaction has locked its job.
   * False: it cannot be recorded, because of what is in it.
   */
  readonly isTransient: boolean;
}

/** Hands trigger events over to the dispatchers. */
export interface HandOver {
  /**
   * Sends events, at most 2,000 at a time to each dispatcher. Resolves when all of them are durable, except those that it returns. The turn of a job of which an
   * event is returned must not be written. The same events may be sent any number of times.
   *
   * Throws SERVICE_UNAVAILABLE at once when no dispatcher is live, and when two dispatchers one after the other did not
   * confirm a batch within the time limit. The events may then be recorded or not.
   */
  send(events: readonly TriggerEventInit[]): Promise<readonly RefusedEvent[]>;
  /** Ends the streams. */
  close(): void;
}

/** What a hand-over uses. */
export interface HandOverParts {
  readonly dispatchers: Pick<Dispatchers, "live" | "markDead">;
  readonly logger: Logger;
  /** A clock that is not ahead of PostgreSQL's. */
  readonly clock: Clock;
  /** How long one dispatcher has to confirm a batch, in milliseconds. A batch is tried on two. */
  readonly timeoutMs: number;
}

/** The longest time that one dispatcher has to confirm a batch. */
const MAX_TIMEOUT_MS = 1_500;
/**
 * The part of the time after which a dispatcher must not begin to record a batch any more. The rest is left for the
 * commit and the answer.
 */
const RECORDING_PART = 0.8;

/** Returns how long one dispatcher has to confirm a batch: a third of the look-ahead, at most 1,500 ms. */
export function handOverTimeoutMs(lookAheadMs: number): number {
  return Math.min(MAX_TIMEOUT_MS, Math.floor(lookAheadMs / 3));
}

/** A batch that was sent and not yet answered. */
interface SentBatch {
  readonly resolve: (refused: readonly RefusedEvent[]) => void;
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

interface State {
  readonly parts: HandOverParts;
  readonly streams: Map<Dispatcher, AcceptStream>;
  lastBatchId: bigint;
}

/** Events for one dispatcher, at most MAX_BATCH. */
interface Batch {
  readonly dispatcher: Dispatcher;
  readonly events: readonly TriggerEventInit[];
}

/**
 * Creates a hand-over. All events of a job go to one dispatcher, which is chosen by a hash of the job's uid over the
 * live dispatchers (`chooseNode`). Each dispatcher has one long-lived stream, which opens at its first use, and again
 * after it broke.
 *
 * A batch that fails, or is not answered within `timeoutMs`, is divided among the other live dispatchers and sent once
 * more. A dispatcher whose stream breaks, or that does not answer in time, counts as dead until its next good health
 * check. A batch may so reach two dispatchers. This is harmless: a trigger's id is derived from job and fire time, and
 * the second one to record it finds it recorded.
 *
 * What is given up here must not be recorded later, because the next turn may decide otherwise. So each batch has a
 * deadline by PostgreSQL's clock, at four fifths of `timeoutMs`, that the recording statement itself checks. A gap
 * remains: a commit that takes more than the last fifth. The next turn sees such triggers if they are committed by then
 * (`readDispatched`).
 */
export function createHandOver(parts: HandOverParts): HandOver {
  const state: State = { parts, streams: new Map(), lastBatchId: 0n };
  return {
    send: async (events) => {
      if (events.length === 0) return [];
      const batches = toBatches(events, parts.dispatchers.live());
      const queues = Map.groupBy(batches, ({ dispatcher }) => dispatcher).values();
      const refused = await Promise.all([...queues].map((queue) => sendInTurn(state, queue)));
      return refused.flat();
    },
    close: () => {
      for (const stream of state.streams.values()) if (!stream.isBroken) stream.call.end();
    },
  };
}

/**
 * Sends events like `HandOver.send`, for callers that handle one job. Throws SERVICE_UNAVAILABLE if one was not recorded
 * and may be sent again, and INTERNAL if one cannot be recorded.
 */
export async function sendAllOrThrow(
  handOver: Pick<HandOver, "send">,
  events: readonly TriggerEventInit[],
): Promise<void> {
  throwIfRefused(await handOver.send(events));
}

/** Throws the error of the worst refusal, as `sendAllOrThrow` does. */
export function throwIfRefused(refused: readonly RefusedEvent[]): void {
  const worst = refused.find(({ isTransient }) => !isTransient) ?? refused[0];
  if (worst === undefined) return;
  const cause = new Error(`trigger ${worst.triggerId} was not recorded: ${worst.problem}`);
  throw worst.isTransient ? unavailable(cause, 100) : EasyCronError.from(cause);
}

/** Divides events among dispatchers. Throws SERVICE_UNAVAILABLE if there is none. */
function toBatches(events: readonly TriggerEventInit[], dispatchers: readonly Dispatcher[]): Batch[] {
  const byDispatcher = new Map<Dispatcher, TriggerEventInit[]>();
  for (const event of events) {
    const dispatcher = chooseNode(hashOf(event.jobUid), dispatchers);
    if (dispatcher === undefined) throw unavailable(new Error("no dispatcher is live"));
    const own = byDispatcher.get(dispatcher);
    if (own === undefined) byDispatcher.set(dispatcher, [event]);
    else own.push(event);
  }
  const batches: Batch[] = [];
  for (const [dispatcher, own] of byDispatcher) {
    for (let from = 0; from < own.length; from += MAX_BATCH) {
      batches.push({ dispatcher, events: own.slice(from, from + MAX_BATCH) });
    }
  }
  return batches;
}

/** Sends the batches of one dispatcher. After one has failed, begins no other. */
async function sendInTurn(state: State, batches: readonly Batch[]): Promise<readonly RefusedEvent[]> {
  const refused: RefusedEvent[] = [];
  let next = 0;
  const work = async () => {
    for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
      try {
        refused.push(...(await sendOrRetry(state, batch)));
      } catch (error) {
        next = batches.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, work));
  return refused;
}

async function sendOrRetry(state: State, batch: Batch): Promise<readonly RefusedEvent[]> {
  const { dispatchers, logger } = state.parts;
  try {
    return await sendBatch(state, batch);
  } catch (error) {
    const { address } = batch.dispatcher;
    const others = dispatchers.live().filter((each) => each.address !== address);
    if (others.length === 0) throw error;
    const fields = { address, events: batch.events.length, err: error };
    logger.warn(fields, "a dispatcher did not record a batch; another one gets it");
    const again = toBatches(batch.events, others).map((each) => sendBatch(state, each));
    return (await Promise.all(again)).flat();
  }
}

function sendBatch(state: State, { dispatcher, events }: Batch): Promise<readonly RefusedEvent[]> {
  const { clock, timeoutMs } = state.parts;
  const stream = openStream(state, dispatcher);
  state.lastBatchId += 1n;
  const batchId = state.lastBatchId;
  const deadlineMs = BigInt(Math.floor(clock.now() + timeoutMs * RECORDING_PART));
  return new Promise((resolve, reject) => {
    const giveUp = async () => {
      // When this process has stalled, the answer may be there already although the time is up.
      await untilSocketsRead();
      if (!stream.sent.has(batchId)) return;
      breakStream(state, dispatcher, stream, unavailable(new Error(`no answer within ${timeoutMs} ms`)));
    };
    const timer = setTimeout(() => void giveUp(), timeoutMs);
    stream.sent.set(batchId, { resolve, reject, timer });
    const request: MessageInitShape<typeof AcceptRequestSchema> = {
      batchId,
      events: [...events],
      deadlineMs,
    };
    stream.call.send(request).catch((error: unknown) => breakStream(state, dispatcher, stream, error));
  });
}

/** Returns the open stream to a dispatcher, or opens one. */
function openStream(state: State, dispatcher: Dispatcher): AcceptStream {
  const open = state.streams.get(dispatcher);
  if (open !== undefined && !open.isBroken) return open;
  const call = dispatcher.client.accept({ signal: dispatcher.dead });
  const stream: AcceptStream = { call, sent: new Map(), isBroken: false };
  state.streams.set(dispatcher, stream);
  void receive(state, dispatcher, stream);
  return stream;
}

async function receive(state: State, dispatcher: Dispatcher, stream: AcceptStream): Promise<void> {
  try {
    for await (const response of stream.call.responses) answer(stream, response);
    breakStream(state, dispatcher, stream, unavailable(new Error("the dispatcher ended the stream")));
  } catch (error) {
    breakStream(state, dispatcher, stream, error);
  }
}

/** Resolves or rejects the batch that a response is about. */
function answer(stream: AcceptStream, response: AcceptResponse): void {
  const { batchId, errorCode, errorMessage, refused, postponed } = response;
  const batch = stream.sent.get(batchId);
  if (batch === undefined) return;
  stream.sent.delete(batchId);
  clearTimeout(batch.timer);
  if (errorCode !== 0) {
    batch.reject(unavailable(new Error(`accept: code ${errorCode}: ${errorMessage}`)));
    return;
  }
  batch.resolve([
    ...refused.map(({ triggerId, problem }) => ({ triggerId, problem, isTransient: false })),
    ...postponed.map((triggerId) => ({ triggerId, problem: POSTPONED, isTransient: true })),
  ]);
}

const POSTPONED = "The dispatcher could not record it in time, or another transaction had locked its job.";

/**
 * Closes a stream and fails its unanswered batches. If there are any, the dispatcher counts as dead; a stream without
 * any ends, for example, when the dispatcher is stopped in an orderly way.
 */
function breakStream(state: State, dispatcher: Dispatcher, stream: AcceptStream, error: unknown): void {
  if (stream.isBroken) return;
  stream.isBroken = true;
  if (state.streams.get(dispatcher) === stream) state.streams.delete(dispatcher);
  stream.call.cancel();
  if (stream.sent.size > 0) state.parts.dispatchers.markDead(dispatcher, error);
  for (const batch of stream.sent.values()) {
    clearTimeout(batch.timer);
    batch.reject(error);
  }
  stream.sent.clear();
}

function unavailable(cause: Error, retryAfterMs = 1_000): Error {
  return failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { retryAfterMs, cause });
}
