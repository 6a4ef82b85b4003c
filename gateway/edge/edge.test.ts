import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { PROJECT_KEY, type StartOptions, startGateway } from "../testing/start-gateway.ts";

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

const GET_JOB = "/easycron.v1.JobService/GetJob";
const headers = { "content-type": "application/json", authorization: `Bearer ${PROJECT_KEY}` };
const found: StartOptions = { scheduler: { getJob: async () => ({ response: { job: { name: "a" } } }) } };

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details?: readonly { readonly type: string; readonly debug: Record<string, unknown> }[];
}

async function post(url: string, body: string, more: Record<string, string> = {}, method = "POST") {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...more },
    ...(method === "POST" ? { body } : {}),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as ErrorBody };
}

const reasonOf = ({ body }: { body: ErrorBody }) => ({
  code: body.code,
  reason: body.details?.[0]?.debug.reason,
  domain: body.details?.[0]?.debug.domain,
});

/** Sends bytes as they are, and returns what comes until the connection closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(bytes);
  return text(socket);
}

describe("JSON", () => {
  test("is answered with every field, empty ones too", async () => {
    const { url } = await start({ scheduler: { listJobs: async () => ({ response: {} }) } });
    const { status, body } = await post(`${url}/easycron.v1.JobService/ListJobs`, "{}");
    expect([status, body]).toEqual([200, { jobs: [], nextPageToken: "" }]);
  });

  test.each([
    ["not JSON", '{"name":', "SyntaxError|JSON"],
    ["an unknown field", '{"name":"a","nmae":"b"}', "nmae"],
    ["a wrong type", '{"name":7}', "name"],
    ["nothing", "", "JSON"],
    ["nested without end", `{"name":"a","payload":${"[".repeat(200_000)}`, ""],
  ])("that is %s is REQUEST_MALFORMED", async (_, body, hint) => {
    const { url } = await start();
    const answer = await post(`${url}/easycron.v1.JobService/RunJob`, body);
    expect(answer.status).toBe(400);
    expect(reasonOf(answer)).toEqual({
      code: "invalid_argument",
      reason: "REQUEST_MALFORMED",
      domain: "easycron",
    });
    expect(answer.body.message).toMatch(new RegExp(`^The request could not be decoded: .*(${hint})`));
  });

  test("of an error has the details in readable form too", async () => {
    const { url } = await start();
    const { status, body } = await post(url + GET_JOB, '{"name":""}');
    expect(status).toBe(400);
    expect(body.code).toBe("invalid_argument");
    expect(body.message).toMatch(/^name: /);
    expect(body.details?.map(({ type }) => type)).toEqual([
      "google.rpc.ErrorInfo",
      "google.rpc.BadRequest",
      "google.rpc.RequestInfo",
    ]);
    expect(body.details?.[0]?.debug).toMatchObject({ reason: "FIELD_INVALID", domain: "easycron" });
    expect(body.details?.[1]?.debug).toMatchObject({ fieldViolations: [{ field: "name" }] });
  });

  test("of too many bytes is REQUEST_TOO_LARGE, with and without a content length", async () => {
    const { url } = await start(found);
    const large = JSON.stringify({ name: "x".repeat(2_000_000) });
    const answer = await post(url + GET_JOB, large);
    expect([answer.status, answer.body.code]).toEqual([400, "invalid_argument"]);
    expect(answer.body.message).toBe("The request is too large; send at most 1048576 bytes.");
    expect(reasonOf(answer).reason).toBe("REQUEST_TOO_LARGE");
    const chunked = await fetch(url + GET_JOB, {
      method: "POST",
      headers,
      body: new Blob([large]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(((await chunked.json()) as ErrorBody).details?.[0]?.debug.reason).toBe("REQUEST_TOO_LARGE");
  });

  test("is accepted by GET only for a method without side effects", async () => {
    const { url } = await start(found);
    const query = `?encoding=json&message=${encodeURIComponent('{"name":"a"}')}`;
    expect((await post(url + GET_JOB + query, "", {}, "GET")).status).toBe(200);
    const answer = await post(`${url}/easycron.v1.JobService/DeleteJob${query}`, "", {}, "GET");
    expect([answer.status, answer.headers.get("allow"), answer.body]).toEqual([
      405,
      "POST",
      { code: "unknown", message: "GET is not allowed for this method; use POST." },
    ]);
  });

  test.each([
    [
      "without a query",
      "",
      400,
      'The request could not be decoded: the query has no "encoding" and no "message"; send both, such as ' +
        "?encoding=json&message=%7B%7D for the request {}, or send the request by POST.",
    ],
    [
      "without a message",
      "?encoding=json",
      400,
      'The request could not be decoded: the query has no "message"; send both, such as ' +
        "?encoding=json&message=%7B%7D for the request {}, or send the request by POST.",
    ],
    [
      "with an unknown encoding",
      "?encoding=xml&message=a",
      415,
      'The encoding "xml" is not supported; use json or proto.',
    ],
    [
      "with a message that is not base64",
      "?encoding=json&base64=1&message=%7B%7D",
      400,
      'The request could not be decoded: the "message" of the query is not base64; encode it, or leave "base64" out.',
    ],
  ])("by GET %s is answered with words", async (_, query, status, message) => {
    const { url } = await start(found);
    const answer = await post(url + GET_JOB + query, "", {}, "GET");
    expect([answer.status, answer.body.message]).toEqual([status, message]);
    expect(answer.body.details?.[0]?.debug.reason).toBe(status === 400 ? "REQUEST_MALFORMED" : undefined);
  });
});

test.each(["application/proto", "application/grpc-web+proto"])(
  "bytes of %s that are no message are REQUEST_MALFORMED",
  async (type) => {
    const { url } = await start();
    const bytes = Buffer.from(type === "application/proto" ? [255, 255] : [0, 0, 0, 0, 2, 255, 255]);
    const response = await fetch(url + GET_JOB, {
      method: "POST",
      headers: { ...headers, "content-type": type },
      body: bytes,
    });
    const answer = Buffer.from(await response.arrayBuffer()).toString("latin1");
    expect(answer).toMatch(
      type === "application/proto" ? /"reason":"REQUEST_MALFORMED"/ : /grpc-status: 3\r\n/,
    );
  },
);

describe("a malformed request", () => {
  test.each([
    ["an unknown compression", { "content-encoding": "zstd" }, 501, "METHOD_UNIMPLEMENTED"],
    ["a deadline that is none", { "connect-timeout-ms": "soon" }, 400, "REQUEST_MALFORMED"],
  ] as const)("because of %s is told so, with a reason", async (_, more, status, reason) => {
    const { url } = await start(found);
    const answer = await post(url + GET_JOB, '{"name":"a"}', more);
    expect([answer.status, reasonOf(answer).reason]).toEqual([status, reason]);
  });

  const NO_METHOD = (path: string) => `This server has no method ${path}; check its name.`;
  test.each([
    ["an unknown path", "/", "POST", {}, 404, "unimplemented", NO_METHOD("/")],
    ["an unknown method", "/a.B/C", "POST", {}, 404, "unimplemented", NO_METHOD("/a.B/C")],
    [
      "an unknown type",
      GET_JOB,
      "POST",
      { "content-type": "text/plain" },
      415,
      "unknown",
      'The content type "text/plain" is not supported; use application/json, for example.',
    ],
    [
      "an unknown verb",
      GET_JOB,
      "PUT",
      {},
      405,
      "unknown",
      "PUT is not allowed for this method; use POST or GET.",
    ],
  ] as const)("because of %s is told so in words, as the status says", async (...row) => {
    const [, path, method, more, status, code, message] = row;
    const { url } = await start(found);
    const answer = await post(url + path, '{"name":"a"}', more, method);
    expect([answer.status, answer.body]).toEqual([status, { code, message }]);
  });

  test("because of HTTP/1.1 is told so by a method that needs HTTP/2, and the connection closes", async () => {
    const { url } = await start({ hasReflection: true });
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const message = "This method sends and receives at the same time, which needs HTTP/2.";
    const answer = await post(url + path, "", { "content-type": "application/connect+json" });
    expect([answer.status, answer.headers.get("connection")]).toEqual([505, "close"]);
    expect(answer.body).toEqual({ code: "unknown", message });
    const web = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto" },
    });
    expect([web.status, web.headers.get("grpc-status")]).toEqual([200, "2"]);
    expect(decodeURIComponent(web.headers.get("grpc-message") ?? "")).toBe(message);
  });

  test.each([
    ["no Host", `POST ${GET_JOB} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`],
    [
      "a Host that is none",
      `POST ${GET_JOB} HTTP/1.1\r\nhost: [\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    ],
  ])("because of %s does not end the process", async (_, bytes) => {
    const { port, url } = await start(found);
    expect(await raw(port, bytes)).toMatch(/^HTTP\/1\.1 400 .*REQUEST_MALFORMED/s);
    expect((await post(url + GET_JOB, '{"name":"a"}')).status).toBe(200);
  });

  test("with a deadline that is too long gets a shorter one, over gRPC and Connect", async () => {
    const left: (number | undefined)[] = [];
    const { url } = await start({
      scheduler: {
        getJob: async (_, { deadlineMs }) => {
          left.push(deadlineMs);
          return { response: {} };
        },
      },
    });
    await post(url + GET_JOB, '{"name":"a"}', { "connect-timeout-ms": "2160000000" });
    const body = Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 0x61]);
    const grpc = { ...headers, "content-type": "application/grpc-web+proto", "grpc-timeout": "600H" };
    await (await fetch(url + GET_JOB, { method: "POST", headers: grpc, body })).arrayBuffer();
    expect(left).toHaveLength(2);
    for (const ms of left) expect(ms).toBeGreaterThan(50_000);
  });

  test("whose deadline passes is DEADLINE_EXCEEDED, at every stage of the call", async () => {
    const { url } = await start({ scheduler: { getJob: () => new Promise(() => {}) } });
    for (const timeout of ["0", "1", "100"]) {
      const answer = await post(url + GET_JOB, '{"name":"a"}', { "connect-timeout-ms": timeout });
      expect([answer.status, reasonOf(answer).reason]).toEqual([504, "DEADLINE_EXCEEDED"]);
    }
  });
});

/** Sends a gRPC call over HTTP/2, and returns the headers of the answer, and whether they end the stream. */
async function grpc(url: string, path: string, more: Record<string, string> = {}) {
  const session = http2.connect(url);
  const type = { "content-type": "application/grpc", te: "trailers" };
  const stream = session.request({ ":method": "POST", ":path": path, ...headers, ...type, ...more });
  // An empty message.
  stream.end(Buffer.alloc(5));
  const [answer, flags] = (await once(stream, "response")) as [http2.IncomingHttpHeaders, number];
  const body = await buffer(stream);
  session.destroy();
  return { answer, body, endsStream: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0 };
}

describe("a gRPC call that cannot be made is answered in one block of headers", () => {
  test.each([
    ["an unknown method", "/easycron.v1.JobService/Nothing", {}, "12", "application/grpc"],
    [
      "an unknown service",
      "/a.B/C",
      { "content-type": "application/grpc+json" },
      "12",
      "application/grpc+json",
    ],
    ["an unknown codec", GET_JOB, { "content-type": "application/grpc+foo" }, "2", "application/grpc"],
    ["another verb", GET_JOB, { ":method": "PUT" }, "2", "application/grpc"],
    [
      "an unknown codec of gRPC-Web",
      GET_JOB,
      { "content-type": "application/grpc-web+foo" },
      "2",
      "application/grpc-web+proto",
    ],
  ])("because of %s", async (_, path, more, status, type) => {
    const { url } = await start(found);
    const { answer, body, endsStream } = await grpc(url, path, more);
    expect(answer).toMatchObject({ ":status": 200, "grpc-status": status, "content-type": type });
    expect(decodeURIComponent(`${answer["grpc-message"]}`)).toMatch(
      /^This server has no method|^The content type|^PUT/,
    );
    expect([endsStream, body.length, answer["grpc-status-details-bin"]]).toEqual([true, 0, undefined]);
  });

  test("also when the caller goes on sending", async () => {
    const { url } = await start(found);
    const session = http2.connect(url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/a.B/C",
      "content-type": "application/grpc",
    });
    const ended = once(stream, "end");
    stream.resume();
    await ended;
    stream.end(Buffer.alloc(100_000));
    await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });
});

describe("the port", () => {
  test("refuses a wrong key before the body is sent, and the connection stays usable", async () => {
    const { url } = await start(found);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = async (key: string, length: number) => {
      const request = httpRequest(url + GET_JOB, {
        agent,
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${key}`,
          "content-length": length,
        },
      });
      request.flushHeaders();
      if (key === PROJECT_KEY) request.end('{"name":"a"}');
      const [response] = await once(request, "response");
      if (key !== PROJECT_KEY) request.end("x".repeat(length));
      await text(response);
      return response.statusCode as number;
    };
    expect(await send("ec_live_x", 500_000)).toBe(401);
    expect(await send(PROJECT_KEY, 12)).toBe(200);
    agent.destroy();
  });

  test("accepts HTTP/2 whose preface arrives byte by byte", async () => {
    const { port } = await start(found);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    for (const byte of Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
      socket.write(Buffer.from([byte]));
      await sleep(1);
    }
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [chunk] = (await once(socket, "data")) as [Buffer];
    expect(chunk[3]).toBe(4);
    socket.destroy();
  });

  test("drops a client that sends nothing, and one that does not finish a header", async () => {
    const { port } = await start({ limits: { sniffMs: 200, headersMs: 300 } });
    const silent = connect(port, "127.0.0.1");
    await once(silent, "close");
    const slow = connect(port, "127.0.0.1");
    slow.write("POST / HTTP/1.1\r\nhost: a\r\n");
    expect(await text(slow)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("cuts an HTTP/2 stream whose body does not end", async () => {
    const { url } = await start({ ...found, limits: { headersMs: 200, requestMs: 200 } });
    const session = http2.connect(url);
    const stream = session.request({ ":method": "POST", ":path": GET_JOB, ...headers });
    stream.on("error", () => {});
    stream.write("{");
    await once(stream, "close");
    session.destroy();
  });

  test("closes when the requests in flight have been answered, and tells kept-alive clients so", async () => {
    const entered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const gateway = await start({
      scheduler: {
        getJob: async () => {
          entered.resolve();
          await released.promise;
          return { response: {} };
        },
      },
    });
    const inFlight = fetch(gateway.url + GET_JOB, { method: "POST", headers, body: '{"name":"a"}' });
    await entered.promise;
    const started = Date.now();
    const closed = gateway.close(40_000);
    released.resolve();
    await closed;
    stop = undefined;
    const response = await inFlight;
    expect([response.status, response.headers.get("connection")]).toEqual([200, "close"]);
    expect(Date.now() - started).toBeLessThan(20_000);
    await expect(fetch(gateway.url)).rejects.toThrow();
  });
});
