import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  AcceptRequestSchema,
  type AcceptResponseSchema,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Accepted } from "./accept.ts";
import { answerBatches } from "./accept-stream.ts";

const LIVES = new AbortController().signal;
const logged: Record<string, unknown>[] = [];
const silent = () => {};
const logger: Logger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: (fields) => logged.push({ ...fields }),
};

const accepted = (recorded: number): Accepted => ({ recorded, refused: [], postponed: [] });

async function* requestsOf(count: number) {
  for (let batch = 1; batch <= count; batch++) yield create(AcceptRequestSchema, { batchId: BigInt(batch) });
}

async function collect(answers: AsyncIterable<MessageInitShape<typeof AcceptResponseSchema>>) {
  const all = [];
  for await (const answer of answers) all.push(answer);
  return all;
}

describe("the batches of a stream", () => {
  test("are answered in the order of the requests, with at most four recorded at the same time", async () => {
    let underWay = 0;
    let most = 0;
    const accept = async (): Promise<Accepted> => {
      most = Math.max(most, ++underWay);
      for (let turns = 20 - underWay * 4; turns > 0; turns--) await new Promise(setImmediate);
      underWay -= 1;
      return accepted(1);
    };
    const answers = await collect(answerBatches(requestsOf(20), { accept, logger }, LIVES));
    expect(answers.map(({ batchId }) => Number(batchId))).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(most).toBe(4);
  });

  test("are answered even if no further request comes", async () => {
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    async function* requests() {
      yield* requestsOf(1);
      await ended;
    }
    const answers = answerBatches(requests(), { accept: async () => accepted(3), logger }, LIVES);
    expect(await answers.next()).toMatchObject({ done: false, value: { batchId: 1n, recorded: 3 } });
    end();
    expect(await answers.next()).toMatchObject({ done: true });
  });

  test("fail separately, each with the code and the sentence of its error", async () => {
    let calls = 0;
    const accept = async (): Promise<Accepted> => {
      calls += 1;
      if (calls === 2) throw failure("SERVICE_UNAVAILABLE", { service: "database" });
      if (calls === 3) throw new Error("secret");
      return accepted(1);
    };
    const answers = await collect(answerBatches(requestsOf(4), { accept, logger }, LIVES));
    expect(answers).toMatchObject([
      { recorded: 1 },
      { errorCode: 14, errorMessage: expect.stringContaining("database") },
      { errorCode: 13, errorMessage: expect.not.stringContaining("secret") },
      { recorded: 1 },
    ]);
    expect(logged).toMatchObject([{ err: { message: "secret" } }]);
    expect(answers[2]?.errorMessage).toContain(logged[0]?.errorId);
  });

  test("are not recorded after the stream was cancelled, even if the cancellation is read after them", async () => {
    const stream = new AbortController();
    let recorded = 0;
    const accept = async () => {
      recorded += 1;
      return accepted(1);
    };
    async function* requests() {
      yield* requestsOf(2);
      // As after a stall: the batches are read first, and the cancellation of the stream in the next round.
      setImmediate(() => stream.abort());
    }
    const answers = await collect(answerBatches(requests(), { accept, logger }, stream.signal));
    expect(answers).toMatchObject([{ errorCode: 1 }, { errorCode: 1 }]);
    expect(recorded).toBe(0);
  });
});
