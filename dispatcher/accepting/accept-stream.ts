import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AcceptRequest,
  AcceptResponseSchema,
  TriggerEvent,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";

type Answer = MessageInitShape<typeof AcceptResponseSchema>;

/** Batches of one stream that are recorded at once. */
const PIPELINE = 4;

/**
 * Answers each batch of a stream, in the order of the requests, when it is durable; up to four are under way at once.
 * A batch that fails is answered with its code and sentence, and the stream goes on.
 *
 * Once `signal` is aborted nothing more is recorded: a scheduler that has given a batch up decides anew what becomes of
 * its fire times, and may decide otherwise by then.
 */
export async function* answerBatches(
  requests: AsyncIterable<AcceptRequest>,
  accept: (events: readonly TriggerEvent[]) => Promise<number>,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  const iterator = requests[Symbol.asyncIterator]();
  const answers: Promise<Answer>[] = [];
  let reading: Promise<IteratorResult<AcceptRequest>> | undefined = iterator.next();
  for (;;) {
    const first = answers[0];
    if (first === undefined && reading === undefined) return;
    // Whichever comes first: the oldest answer, or, while there is room, another request.
    const isRoom = answers.length < PIPELINE;
    const request = isRoom && reading !== undefined ? await readBefore(reading, first) : undefined;
    if (request === undefined) {
      if (first !== undefined) yield await first;
      answers.shift();
    } else if (request.done) reading = undefined;
    else {
      answers.push(answerBatch(request.value, accept, signal));
      reading = iterator.next();
    }
  }
}

function readBefore<T>(reading: Promise<T>, answer: Promise<unknown> | undefined): Promise<T | undefined> {
  return answer === undefined ? reading : Promise.race([reading, answer.then(() => undefined)]);
}

async function answerBatch(
  { batchId, events }: AcceptRequest,
  accept: (events: readonly TriggerEvent[]) => Promise<number>,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    await untilRead();
    if (signal.aborted) throw failure("CANCELLED");
    return { batchId, recorded: await accept(events) };
  } catch (error) {
    const { code, message } = EasyCronError.from(error);
    return { batchId, errorCode: code, errorMessage: message };
  }
}

/** Rounds of the event loop that it takes until what the socket held at once has been read. */
const ROUNDS = 3;

/**
 * A process that was stalled finds the batch and, behind it, the end of its stream in one socket. Only when that has
 * been read does the signal tell.
 */
async function untilRead(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) await new Promise(setImmediate);
}
