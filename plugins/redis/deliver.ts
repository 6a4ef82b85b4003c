import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeliverRequest,
  DeliverySchema,
} from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
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
  const answers = (await send(prepared.filter(isCall), connection, signal)).values();
  let trouble: unknown;
  const deliveries = prepared.map((each, index): Delivery => {
    const triggerId = messages[index]?.triggerId ?? "";
    if (!isCall(each)) return { triggerId, ...toUnfit(each) };
    const [error, answer] = answers.next().value ?? [new NoAnswerError("Redis gave no answer.")];
    if (error === null || error === undefined) return { triggerId, ...toOutcome(each, answer) };
    const failed = classify(error);
    if (failed.outcome !== AttemptOutcome.REJECTED && !(error instanceof NotConnectedError))
      trouble ??= error;
    return { triggerId, ...failed };
  });
  if (trouble !== undefined) onTrouble(trouble);
  return deliveries;
}

function isCall(prepared: Prepared | Unfit): prepared is Prepared {
  return "script" in prepared;
}

/** The answer to one call: an error, or what the script returned. */
type Answer = readonly [error: unknown, answer?: unknown];

async function send(
  calls: readonly Prepared[],
  connection: Connection,
  signal: AbortSignal,
): Promise<Answer[]> {
  if (calls.length === 0) return [];
  const patience = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
  if (connection.isStalled() || !(await connection.untilReady(patience))) {
    const error = new NotConnectedError("There is no connection to Redis.");
    return calls.map(() => [error]);
  }
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
    return (await connection.answer(pipeline.exec(), signal)) ?? [];
  } catch (error) {
    return calls.map(() => [error]);
  }
}

function toUnfit({ problem }: Unfit) {
  return { outcome: AttemptOutcome.REJECTED, error: problem, isFinal: true };
}

function toOutcome({ describe }: Prepared, answer: unknown) {
  const [code, position] = answer as readonly unknown[];
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
