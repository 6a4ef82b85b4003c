import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { startTcpProxy } from "../test/support/tcp-proxy.ts";
import { type EasyCronError, failure } from "./errors.ts";
import { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { type ServiceImplementation, toGrpcMethod } from "./grpc-service.ts";
import type { Logger } from "./logger.ts";

type Dispatcher = ServiceImplementation<typeof DispatcherService>;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const unused = async (): Promise<never> => {
  throw failure("METHOD_UNIMPLEMENTED", { method: "unused" });
};

const dispatcher = (change: Partial<Dispatcher>): Dispatcher => ({
  accept: async function* (requests) {
    for await (const { batchId, events } of requests) yield { batchId, recorded: events.length };
  },
  getTrigger: unused,
  listTriggers: unused,
  listAttempts: unused,
  acknowledgeTrigger: unused,
  createSigningKey: unused,
  listSigningKeys: unused,
  rotateSigningKey: unused,
  revokeSigningKey: unused,
  getRetention: unused,
  updateRetention: unused,
  getProjectAlerts: unused,
  updateProjectAlerts: unused,
  sealSecrets: unused,
  ...change,
});

async function serve(change: Partial<Dispatcher> = {}, logger = silent, address = "127.0.0.1:0") {
  const server = createGrpcServer({ logger });
  server.add(DispatcherService, dispatcher(change));
  const port = await server.listen(address);
  cleanUp.push(() => server.close(0));
  return { server, port, address: `127.0.0.1:${port}` };
}

function connect(addresses: string[], options: Partial<GrpcClientOptions> = {}) {
  const client = createGrpcClient(DispatcherService, { addresses, deadlineMs: 3_000, ...options });
  cleanUp.push(() => client.close());
  return client;
}

const errorOf = async (promise: Promise<unknown>): Promise<EasyCronError> => {
  try {
    await promise;
  } catch (error) {
    return error as EasyCronError;
  }
  throw new Error("It should have failed.");
};

describe("a unary call", () => {
  test("brings the request there and the answer back", async () => {
    const { address } = await serve({
      getTrigger: async ({ projectId, request }) => ({
        response: { trigger: { id: request?.id ?? "", job: projectId } },
      }),
    });
    const answer = await connect([address]).getTrigger({ projectId: "proj_1", request: { id: "trg_1" } });
    expect(answer.response?.trigger).toMatchObject({ id: "trg_1", job: "proj_1", jobUid: "" });
  });

  test("brings deadline and trace to the handler", async () => {
    const seen: unknown[] = [];
    const { address } = await serve({
      getTrigger: async (_, { deadlineMs, traceparent }) => {
        seen.push(deadlineMs, traceparent);
        return {};
      },
    });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await connect([address]).getTrigger({}, { deadlineMs: 40_000, traceparent });
    expect(seen[0]).toBeGreaterThan(20_000);
    expect(seen[0]).toBeLessThanOrEqual(40_000);
    expect(seen[1]).toBe(traceparent);
  });

  test("fails with the error that the handler threw", async () => {
    const violations = [{ field: "job.name", description: "Too long." }];
    const { address } = await serve({
      getTrigger: async () => {
        throw failure(
          "FIELD_INVALID",
          { field: "job.name", problem: "Too long." },
          { violations, retryAfterMs: 5 },
        );
      },
    });
    const error = await errorOf(connect([address]).getTrigger({}));
    expect(error).toMatchObject({
      reason: "FIELD_INVALID",
      message: "job.name: Too long.",
      violations,
      retryAfterMs: 5,
    });
  });

  test.each([
    ["throws", () => Promise.reject(new Error("10.0.0.7 refused"))],
    ["answers what cannot be encoded", async () => ({ response: { trigger: { seq: -1.5 } } })],
  ])("whose handler %s is INTERNAL, and the log knows the id", async (_, getTrigger) => {
    const logged: { errorId?: string }[] = [];
    const { address } = await serve({ getTrigger }, { ...silent, error: (fields) => logged.push(fields) });
    const error = await errorOf(connect([address]).getTrigger({}));
    expect(error.reason).toBe("INTERNAL");
    expect(error.message).not.toContain("10.0.0.7");
    expect(logged.map((line) => line.errorId)).toEqual([error.metadata.errorId]);
  });

  test("that takes too long is DEADLINE_EXCEEDED, and the handler's signal is aborted", async () => {
    const aborted = Promise.withResolvers<void>();
    const { address } = await serve({
      getTrigger: (_, { signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        return new Promise(() => {});
      },
    });
    // Long enough for the call to reach the handler.
    const error = await errorOf(connect([address]).getTrigger({}, { deadlineMs: 3_000 }));
    expect(error.reason).toBe("DEADLINE_EXCEEDED");
    await aborted.promise;
  });

  test("that the caller aborts is CANCELLED, before or after it was sent", async () => {
    const { address } = await serve({ getTrigger: () => new Promise(() => {}) });
    const client = connect([address]);
    expect((await errorOf(client.getTrigger({}, { signal: AbortSignal.abort() }))).reason).toBe("CANCELLED");
    expect((await errorOf(client.getTrigger({}, { signal: AbortSignal.timeout(50) }))).reason).toBe(
      "CANCELLED",
    );
  });

  test("to an address where nothing listens is SERVICE_UNAVAILABLE, and the error does not show the address", async () => {
    const { server, address } = await serve();
    await server.close(0);
    const error = await errorOf(connect([address]).getTrigger({}));
    expect(error).toMatchObject({ reason: "SERVICE_UNAVAILABLE", retryAfterMs: 1_000 });
    expect(error.message).toBe("The dispatcher does not answer now; try the same call again later.");
  });

  test("tells when nothing of it was sent, and not when the server has got it", async () => {
    let unsent = 0;
    const onUnsent = () => {
      unsent += 1;
    };
    const { server, address } = await serve({ getTrigger: () => new Promise(() => {}) });
    const client = connect([address]);
    // Long enough for the call to reach the server.
    await errorOf(client.getTrigger({}, { deadlineMs: 3_000, onUnsent }));
    await errorOf(client.createSigningKey({}, { onUnsent }));
    expect(unsent).toBe(0);
    await server.close(0);
    expect((await errorOf(client.createSigningKey({}, { onUnsent }))).reason).toBe("SERVICE_UNAVAILABLE");
    expect(unsent).toBe(1);
    const hidden = await startTcpProxy(1);
    cleanUp.push(hidden.stop);
    hidden.blackhole();
    const silent = connect([`127.0.0.1:${hidden.port}`]);
    await errorOf(silent.getTrigger({}, { deadlineMs: 100, onUnsent }));
    expect(unsent).toBe(2);
  });

  test("of a method that the server lacks is METHOD_UNIMPLEMENTED", async () => {
    const { address } = await serve();
    const client = createGrpcClient(SchedulerService, { addresses: [address], deadlineMs: 1_000 });
    cleanUp.push(() => client.close());
    expect((await errorOf(client.getJob({}))).reason).toBe("METHOD_UNIMPLEMENTED");
  });
});

describe("a client of several servers", () => {
  test("sends its calls to them in turn", async () => {
    const calls = [0, 0];
    const start = (index: 0 | 1) =>
      serve({
        getTrigger: async () => {
          calls[index] = (calls[index] ?? 0) + 1;
          return {};
        },
      });
    const servers = [await start(0), await start(1)];
    const client = connect(servers.map(({ address }) => address));
    // Until both connections are up the first one takes everything.
    while (calls.includes(0)) await client.getTrigger({});
    calls.fill(0);
    for (let i = 0; i < 20; i++) await client.getTrigger({});
    expect(calls).toEqual([10, 10]);
  });

  test("uses the others when one has gone, for methods that are safe to repeat", async () => {
    const gone = await serve({ getTrigger: async () => ({}) });
    const stays = await serve({ getTrigger: async () => ({}) });
    const client = connect([gone.address, stays.address]);
    for (let i = 0; i < 5; i++) await client.getTrigger({});
    await gone.server.close(0);
    for (let i = 0; i < 20; i++) await client.getTrigger({});
  });

  test("sends a call again only if its method is safe to repeat", async () => {
    let calls = 0;
    const unavailable = async (): Promise<never> => {
      calls += 1;
      throw failure("SERVICE_UNAVAILABLE", { service: "database" });
    };
    const { address } = await serve({ getTrigger: unavailable, createSigningKey: unavailable });
    const client = connect([address]);
    expect((await errorOf(client.getTrigger({}))).reason).toBe("SERVICE_UNAVAILABLE");
    expect(calls).toBe(4);
    calls = 0;
    expect((await errorOf(client.createSigningKey({}))).reason).toBe("SERVICE_UNAVAILABLE");
    expect(calls).toBe(1);
  });

  test("does not send a call again when the error says after which time to try again", async () => {
    let calls = 0;
    const { address } = await serve({
      getTrigger: async () => {
        calls += 1;
        throw failure("SERVICE_UNAVAILABLE", { service: "database" }, { retryAfterMs: 1_000 });
      },
    });
    expect(await errorOf(connect([address]).getTrigger({}))).toMatchObject({ retryAfterMs: 1_000 });
    expect(calls).toBe(1);
  });

  test("does not accept a mixture of names and addresses", () => {
    expect(() => connect(["a:1", "127.0.0.1:2"])).toThrow(
      "several addresses must be IP addresses of one family",
    );
  });
});

describe("a bidirectional stream", () => {
  test("answers in the order of the requests, and ends when the client does", async () => {
    const { address } = await serve();
    const stream = connect([address]).accept();
    for (let i = 1n; i <= 3n; i++) await stream.send({ batchId: i, events: [{}, {}] });
    stream.end();
    const answers: unknown[] = [];
    for await (const { batchId, recorded } of stream.responses) answers.push([batchId, recorded]);
    expect(answers).toEqual([1n, 2n, 3n].map((id) => [id, 2]));
  });

  test("holds the sender back when the server does not read", async () => {
    const release = Promise.withResolvers<void>();
    const { address } = await serve({
      accept: async function* (requests) {
        await release.promise;
        for await (const { batchId } of requests) yield { batchId };
      },
    });
    const stream = connect([address]).accept();
    const events = [{ payloadJson: "x".repeat(100_000) }];
    let sent = 0;
    const sending = (async () => {
      for (let i = 0n; i < 200n; i++) {
        await stream.send({ batchId: i, events });
        sent += 1;
      }
      stream.end();
    })();
    await sleep(300);
    expect(sent).toBeLessThan(100);
    release.resolve();
    let answered = 0;
    for await (const _ of stream.responses) answered += 1;
    await sending;
    expect(answered).toBe(200);
  });

  test("holds the server back when the client does not read", async () => {
    let yielded = 0;
    const { address } = await serve({
      accept: async function* () {
        for (; yielded < 200; yielded++) yield { errorMessage: "x".repeat(100_000) };
      },
    });
    const stream = connect([address]).accept();
    await stream.send({});
    await sleep(300);
    expect(yielded).toBeLessThan(100);
    let answered = 0;
    for await (const _ of stream.responses) answered += 1;
    expect(answered).toBe(200);
  });

  test("fails on both ends with the handler's error", async () => {
    const { address } = await serve({
      accept: async function* (requests) {
        for await (const { batchId } of requests) {
          if (batchId === 2n) throw failure("JOB_NOT_FOUND", { job: "x" });
          yield { batchId };
        }
      },
    });
    const stream = connect([address]).accept();
    await stream.send({ batchId: 1n });
    await stream.send({ batchId: 2n });
    const answers: bigint[] = [];
    const error = await errorOf(
      (async () => {
        for await (const { batchId } of stream.responses) answers.push(batchId);
      })(),
    );
    expect(answers).toEqual([1n]);
    expect(error.reason).toBe("JOB_NOT_FOUND");
    expect((await errorOf(stream.send({ batchId: 3n }))).reason).toBe("JOB_NOT_FOUND");
  });

  test("that the client cancels aborts the handler's signal, and its requests throw", async () => {
    const told = Promise.withResolvers<unknown>();
    const { address } = await serve({
      accept: async function* (requests, { signal }) {
        try {
          for await (const { batchId } of requests) yield { batchId };
        } catch (error) {
          told.resolve([signal.aborted, (error as EasyCronError).reason]);
        }
      },
    });
    const stream = connect([address]).accept();
    const responses = stream.responses[Symbol.asyncIterator]();
    await stream.send({ batchId: 1n });
    await responses.next();
    stream.cancel();
    expect((await errorOf(responses.next())).reason).toBe("CANCELLED");
    expect(await told.promise).toEqual([true, "CANCELLED"]);
  });

  test("ends when the server closes, and what was received is answered", async () => {
    const received = Promise.withResolvers<void>();
    const { server, address } = await serve({
      accept: async function* (requests) {
        for await (const { batchId } of requests) {
          received.resolve();
          await sleep(50);
          yield { batchId };
        }
      },
    });
    const stream = connect([address]).accept();
    await stream.send({ batchId: 1n });
    await received.promise;
    const started = Date.now();
    const closed = server.close(40_000);
    const answers: bigint[] = [];
    for await (const { batchId } of stream.responses) answers.push(batchId);
    expect(answers).toEqual([1n]);
    await closed;
    expect(Date.now() - started).toBeLessThan(20_000);
    expect((await errorOf(stream.send({ batchId: 2n }))).reason).toBe("SERVICE_UNAVAILABLE");
  });

  test("to an address where nothing listens throws SERVICE_UNAVAILABLE", async () => {
    const { server, address } = await serve();
    await server.close(0);
    const stream = connect([address]).accept();
    const error = await errorOf(stream.responses[Symbol.asyncIterator]().next());
    expect(error.reason).toBe("SERVICE_UNAVAILABLE");
    expect((await errorOf(stream.send({}))).reason).toBe("SERVICE_UNAVAILABLE");
  });
});

describe("a closing server", () => {
  test("lets a call in flight finish", async () => {
    const started = Promise.withResolvers<void>();
    const { server, address } = await serve({
      getTrigger: async () => {
        started.resolve();
        await sleep(100);
        return {};
      },
    });
    const call = connect([address]).getTrigger({});
    await started.promise;
    await Promise.all([server.close(5_000), call]);
  });

  test("breaks a call that does not finish", async () => {
    const started = Promise.withResolvers<void>();
    const { server, address } = await serve({
      getTrigger: () => {
        started.resolve();
        return new Promise(() => {});
      },
    });
    const failed = errorOf(connect([address]).getTrigger({}));
    await started.promise;
    await server.close(100);
    expect((await failed).reason).toMatch(/SERVICE_UNAVAILABLE|CANCELLED|INTERNAL/);
  });
});

describe("health", () => {
  test("is NOT_SERVING until told, and knows its services", async () => {
    const { server, address } = await serve();
    const client = createGrpcClient(Health, { addresses: [address], deadlineMs: 1_000 });
    cleanUp.push(() => client.close());
    expect((await client.check({})).status).toBe(ServingStatus.NOT_SERVING);
    server.setServing(true);
    for (const service of ["", DispatcherService.typeName]) {
      expect((await client.check({ service })).status).toBe(ServingStatus.SERVING);
    }
    expect((await errorOf(client.check({ service: "nobody" }))).reason).toBe("SERVICE_NOT_FOUND");
  });

  test("informs its watchers of every change, also of the close", async () => {
    const { server, address } = await serve();
    const client = new Client(address, credentials.createInsecure());
    cleanUp.push(() => client.close());
    const { path, requestSerialize, responseDeserialize } = toGrpcMethod(Health.method.watch);
    const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    const next = async () => ((await once(stream, "data")) as HealthCheckResponse[])[0]?.status;
    expect(await next()).toBe(ServingStatus.NOT_SERVING);
    server.setServing(true);
    expect(await next()).toBe(ServingStatus.SERVING);
    const last = next();
    const ended = once(stream, "end");
    await server.close(1_000);
    expect(await last).toBe(ServingStatus.NOT_SERVING);
    await ended;
  });
});

test("an address that is taken is named", async () => {
  const { address } = await serve();
  await expect(serve({}, silent, address)).rejects.toThrow(`Cannot listen on ${address}`);
});
