import { afterEach, describe, expect, test } from "vitest";
import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { createGrpcClient } from "../../mesh/grpc-client.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import type { ServiceImplementation } from "../../mesh/grpc-service.ts";
import { createLogger } from "../../mesh/logger.ts";
import { manualEvent } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { createHandOver, MAX_BATCH } from "./hand-over.ts";

const logger = createLogger("test", { EASYCRON_LOG_LEVEL: "silent" });
const event = manualEvent(
  { uid: "job_1", name: "job", revision: 1, epoch: 1, project_id: "proj_1" } as JobRow,
  { nominalTimeMs: 0, requestId: "r", payloadJson: undefined, zoneData: "2026a" },
);

const closes: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close();
});

type Accept = ServiceImplementation<typeof DispatcherService>["accept"];

async function serve(
  accept: Accept,
  address = "127.0.0.1:0",
): Promise<{ port: number; stop(): Promise<void> }> {
  const server = createGrpcServer({ logger });
  server.add(DispatcherService, { accept } as ServiceImplementation<typeof DispatcherService>);
  const port = await server.listen(address);
  const stop = () => server.close(0);
  closes.push(stop);
  return { port, stop };
}

function handOverTo(port: number, timeoutMs = 5_000) {
  const client = createGrpcClient(DispatcherService, { addresses: [`127.0.0.1:${port}`], deadlineMs: 1_000 });
  const handOver = createHandOver(client, { streams: 2, timeoutMs });
  closes.push(() => client.close(), handOver.close);
  return handOver;
}

describe("handing over", () => {
  test("cuts events into batches and resolves when all of them are durable", async () => {
    const sizes: number[] = [];
    const { port } = await serve(async function* (requests) {
      for await (const { batchId, events } of requests) {
        sizes.push(events.length);
        yield { batchId, recorded: events.length };
      }
    });
    await handOverTo(port).send(Array.from({ length: 2 * MAX_BATCH + 1 }, () => event));
    expect(sizes.sort((a, b) => a - b)).toEqual([1, MAX_BATCH, MAX_BATCH]);
  });

  test("fails when the dispatcher could not record the events, and the stream stays open", async () => {
    let code = 14;
    const { port } = await serve(async function* (requests) {
      for await (const { batchId } of requests) yield { batchId, errorCode: code, errorMessage: "database" };
    });
    const handOver = handOverTo(port);
    await expect(handOver.send([event])).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    code = 0;
    await handOver.send([event]);
  });

  test("fails within its time limit when no answer comes", async () => {
    const { port } = await serve(async function* (requests) {
      for await (const _ of requests) yield* [];
    });
    await expect(handOverTo(port, 50).send([event])).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  });

  test("reaches the dispatcher again after that was restarted", async () => {
    const accept: Accept = async function* (requests) {
      for await (const { batchId } of requests) yield { batchId };
    };
    const first = await serve(accept);
    const handOver = handOverTo(first.port);
    await handOver.send([event]);
    await first.stop();
    await serve(accept, `127.0.0.1:${first.port}`);
    const tryUntilSent = async (): Promise<unknown> => handOver.send([event]).catch(tryUntilSent);
    await tryUntilSent();
  });
});
