import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { type Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { RequestInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type CurrentCall, currentCall } from "../mesh/current-call.ts";
import { failure } from "../mesh/errors.ts";
import { PROJECT_KEY, type StartOptions, startGateway } from "./testing/start-gateway.ts";

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function start(options: StartOptions = {}) {
  const gateway = await startGateway(options);
  stop = () => gateway.close();
  return gateway;
}

const headers = { authorization: `Bearer ${PROJECT_KEY}` };
const NEW = /^req_[0-9a-f]{32}$/;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** A scheduler that keeps the call which it sees, and then fails or answers. */
function watching(seen: (CurrentCall | undefined)[], error?: Error): StartOptions {
  const getJob = async () => {
    seen.push(currentCall());
    if (error !== undefined) throw error;
    return { response: { job: { name: "a" } } };
  };
  return { scheduler: { getJob } };
}

async function getJob(url: string, more: Record<string, string> = {}) {
  const path = `${url}/easycron.v1.JobService/GetJob`;
  const init = { method: "POST", headers: { ...headers, "content-type": "application/json", ...more } };
  return fetch(path, { ...init, body: '{"name":"a"}' });
}

test("the caller's request id and trace go through the mesh and into the answer", async () => {
  const seen: (CurrentCall | undefined)[] = [];
  const { url } = await start(watching(seen));
  const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;
  const answer = await getJob(url, { "x-request-id": "order-17", traceparent });
  expect(answer.headers.get("x-request-id")).toBe("order-17");
  expect(answer.headers.get("traceresponse")).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  expect(seen).toMatchObject([{ requestId: "order-17", traceparent: expect.stringContaining(TRACE) }]);
});

test.each([
  ["none", undefined],
  ["one with a space", "a b"],
  ["one that would change a log line", '"},{"'],
  ["one of 129 characters", "x".repeat(129)],
  ["two", "a, b"],
])("a caller with %s gets a new request id", async (_, given) => {
  const { url } = await start(watching([]));
  const answer = await getJob(url, given === undefined ? {} : { "x-request-id": given });
  expect(answer.headers.get("x-request-id")).toMatch(NEW);
});

test("an answer that is no answer of a method has a request id too", async () => {
  const { url, port } = await start();
  for (const path of ["/nothing", "/easycron.v1.JobService/Nothing"]) {
    const answer = await fetch(url + path, { method: "POST", headers: { "x-request-id": "r-1" } });
    expect([answer.status, answer.headers.get("x-request-id")]).toEqual([404, "r-1"]);
  }
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.end(
    "POST /easycron.v1.JobService/GetJob HTTP/1.1\r\nhost: a b\r\ncontent-type: application/json\r\n\r\n",
  );
  expect(await text(socket)).toMatch(/^HTTP\/1.1 400 .*\r\nx-request-id: req_/s);
});

describe("an error", () => {
  const transports = {
    Connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
    "gRPC-Web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  };
  test.each(Object.entries(transports))(
    "in %s tells the request id in its details",
    async (_, toTransport) => {
      const { url } = await start(watching([], failure("JOB_NOT_FOUND", { job: "a" })));
      const jobs = createClient(JobService, toTransport(url));
      const options = { headers: { ...headers, "x-request-id": "r-2" } };
      const error = await jobs.getJob({ name: "a" }, options).then(
        () => undefined,
        (thrown: unknown) => ConnectError.from(thrown),
      );
      expect(error?.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "r-2" }]);
      expect(error?.metadata.get("x-request-id")).toBe("r-2");
    },
  );

  test("of the request gate tells it too", async () => {
    const { url } = await start();
    const jobs = createClient(JobService, transports.gRPC(url));
    const error: ConnectError = await jobs.getJob({ name: "a" }).then(
      () => expect.unreachable(),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    expect(error.code satisfies Code).toBe(16);
    expect(error.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: expect.stringMatching(NEW) }]);
  });
});
