import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeliverRequest,
  DeliverySchema,
} from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Call, toCalls } from "./calls.ts";
import { type Connection, NoAnswerError, NotConnectedError } from "./connection.ts";
import { classify } from "./errors.ts";
import { type Prepared, prepare, type Unfit } from "./prepare.ts";
import { ANSWER } from "./scripts.ts";

type Delivery = MessageInitShape<typeof DeliverySchema>;

/** How long a batch waits for a connection that was lost. */
const READY_WITHIN_MS = 1_000;

/** Told once for a batch of the first error that is not about one message. */
export type OnTrouble = (error: unknown) => void;

/**
 * Writes a batch over one connection, in its order. Each message is written at most once as long as its guard is kept.
 * Never throws.
 */
export async function deliver(
  request: DeliverRequest,
  connection: Connection,
  signal: AbortSignal,
  onTrouble: OnTrouble,
): Promise<Delivery[]> {
  const { projectId, messages } = request;
  const prepared = messages.map((message) => prepare(projectId, message));
  const answers = await send(prepared.filter(isFit), connection, signal);
  let trouble: unknown;
  const deliveries = prepared.map((each, index): Delivery => {
    const triggerId = messages[index]?.triggerId ?? "";
    if (!isFit(each)) return { triggerId, ...toUnfit(each) };
    const [error, code, position] = answers.get(each) ?? NO_ANSWER;
    if (error === null || error === undefined) return { triggerId, ...toOutcome(each, code, position) };
    const failed = classify(error);
    if (failed.outcome !== AttemptOutcome.REJECTED && !(error instanceof NotConnectedError))
      trouble ??= error;
    return { triggerId, ...failed };
  });
  if (trouble !== undefined) onTrouble(trouble);
  return deliveries;
}

function isFit(prepared: Prepared | Unfit): prepared is Prepared {
  return "script" in prepared;
}

/** What became of one message: an error, or a code of ANSWER and a position. */
type Answer = readonly [error: unknown, code?: unknown, position?: unknown];

async function send(
  messages: readonly Prepared[],
  connection: Connection,
  signal: AbortSignal,
): Promise<ReadonlyMap<Prepared, Answer>> {
  if (messages.length === 0) return new Map();
  const all = (error: unknown) => new Map(messages.map((message): [Prepared, Answer] => [message, [error]]));
  const patience = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
  if (connection.isStalled() || !(await connection.untilReady(patience))) {
    return all(new NotConnectedError("There is no connection to Redis."));
  }
  const calls = toCalls(messages);
  const pipeline = connection.client.pipeline();
  const sent = new Set<string>();
  for (const { script, keys, args } of calls) {
    // The first call of a script carries its text. So no call can find that the server does not know the script, even
    // after a restart of the server.
    if (sent.has(script.sha)) pipeline.evalsha(script.sha, keys.length, ...keys, ...args);
    else pipeline.eval(script.lua, keys.length, ...keys, ...args);
    sent.add(script.sha);
  }
  try {
    const answers = (await connection.answer(pipeline.exec(), signal)) ?? [];
    return new Map(calls.flatMap((call, index) => toAnswers(call, answers[index])));
  } catch (error) {
    return all(error);
  }
}

/** Returns the answer of each message of a call. */
function toAnswers({ messages }: Call, [error, answer] = NO_ANSWER): [Prepared, Answer][] {
  const values = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  return messages.map((message, index) => [message, [error, values[2 * index], values[2 * index + 1]]]);
}

const NO_ANSWER: readonly [error: unknown, answer?: unknown] = [new NoAnswerError("Redis gave no answer.")];

function toUnfit({ problem }: Unfit) {
  return { outcome: AttemptOutcome.REJECTED, error: problem, isFinal: true };
}

function toOutcome({ describe }: Prepared, code: unknown, position: unknown) {
  switch (code) {
    case ANSWER.written:
    case ANSWER.repeated:
      return { outcome: AttemptOutcome.SUCCEEDED, position: describe(String(position)) };
    case ANSWER.overLimit:
      return {
        outcome: AttemptOutcome.REJECTED,
        error:
          "The project has used up its memory or its number of keys in Redis, or has disabled the plugin; " +
          "delete keys, raise the limits, or enable it.",
      };
    default:
      return {
        outcome: AttemptOutcome.NOT_SENT,
        error: "The project is not set up in Redis now; that is done again within minutes.",
      };
  }
}
