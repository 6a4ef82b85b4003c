import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AcceptRequest,
  AcceptResponseSchema,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { toLoggedError } from "../../mesh/logged-error.ts";
import type { Logger } from "../../mesh/logger.ts";
import { untilSocketsRead } from "../../mesh/until-read.ts";
import type { Accepted } from "./accept.ts";

type Answer = MessageInitShape<typeof AcceptResponseSchema>;
type Accept = (request: AcceptRequest) => Promise<Accepted>;

/** What answering a stream needs. */
export interface StreamParts {
  readonly accept: Accept;
  /** Gets the error id of each batch that fails because of a defect. */
  readonly logger: Logger;
}

/** Most batches of one stream that are recorded at the same time. */
const PIPELINE = 4;

/**
 * Answers each batch of a stream when it is durable, in the order of the requests. Up to four batches are recorded at
 * the same time. A batch that fails is answered with the code and the sentence of its error, and the stream continues.
 *
 * After `signal` is aborted, no further batch is begun. A scheduler that gives up a batch decides again about its fire
 * times, and the second decision may differ. A batch that was begun before ends at its own deadline (see
 * `AcceptRequest`).
 */
export async function* answerBatches(
  requests: AsyncIterable<AcceptRequest>,
  parts: StreamParts,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  const iterator = requests[Symbol.asyncIterator]();
  const answers: Promise<Answer>[] = [];
  let reading: Promise<IteratorResult<AcceptRequest>> | undefined = iterator.next();
  for (;;) {
    const first = answers[0];
    if (first === undefined && reading === undefined) return;
    // Waits for the oldest answer or, if fewer than PIPELINE batches are under way, for the next request.
    const isRoom = answers.length < PIPELINE;
    const request = isRoom && reading !== undefined ? await readBefore(reading, first) : undefined;
    if (request === undefined) {
      if (first !== undefined) yield await first;
      answers.shift();
    } else if (request.done) reading = undefined;
    else {
      answers.push(answerBatch(request.value, parts, signal));
      reading = iterator.next();
    }
  }
}

function readBefore<T>(reading: Promise<T>, answer: Promise<unknown> | undefined): Promise<T | undefined> {
  return answer === undefined ? reading : Promise.race([reading, answer.then(() => undefined)]);
}

async function answerBatch(
  request: AcceptRequest,
  { accept, logger }: StreamParts,
  signal: AbortSignal,
): Promise<Answer> {
  const { batchId } = request;
  try {
    // After a stall, a process reads a batch first and the cancellation of its stream later, from the same socket.
    await untilSocketsRead();
    if (signal.aborted) throw failure("CANCELLED");
    const { recorded, refused, postponed } = await accept(request);
    return { batchId, recorded, refused: [...refused], postponed: [...postponed] };
  } catch (error) {
    const { code, message } = toLoggedError(error, logger, "Accept");
    return { batchId, errorCode: code, errorMessage: message };
  }
}
