import { createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { type Behaviour, drip, head, onRequest } from "./behaviour.ts";

const OK = "HTTP/1.1 200 OK";
const CLOSE = "connection: close";
const TEN_MEGABYTES = 10 * 1024 * 1024;
const DRIP_MS = 100;

const serve = (onConnection: (socket: Socket) => void) => (): Server => createServer(onConnection);
/** Answers each first request with the same bytes. */
const answer = (bytes: string | Buffer) =>
  serve((socket) => {
    onRequest(socket, () => socket.write(bytes));
    socket.on("data", () => {});
  });
const answerAndEnd = (bytes: string | Buffer) =>
  serve((socket) => {
    onRequest(socket, () => socket.end(bytes));
    socket.on("data", () => {});
  });
const afterRequest = (then: (socket: Socket) => void) =>
  serve((socket) => {
    onRequest(socket, () => then(socket));
    socket.on("data", () => {});
  });

const body = Buffer.alloc(TEN_MEGABYTES, "x");
const bomb = gzipSync(body);
const NO_ANSWER = /^No complete answer within .* the request may have arrived\.$/;
const CLOSED = /^The connection was closed before the answer; the request may have arrived\.$/;

/** Receivers that speak plain HTTP, or something like it. */
export const PLAIN: readonly Behaviour[] = [
  {
    name: "never answers",
    create: afterRequest(() => {}),
    outcome: "UNKNOWN",
    error: NO_ANSWER,
    endedBy: "attempt",
  },
  {
    name: "never reads the request",
    create: serve((socket) => socket.pause()),
    outcome: "UNKNOWN",
    error: NO_ANSWER,
    endedBy: "attempt",
  },
  {
    name: "sends the headers byte by byte",
    create: afterRequest((socket) => {
      socket.write(`${OK}\r\nx-drip: `);
      drip(socket, "a", DRIP_MS);
    }),
    outcome: "UNKNOWN",
    error: NO_ANSWER,
    endedBy: "attempt",
  },
  {
    name: "sends 102 Processing without end",
    create: afterRequest((socket) => drip(socket, head("HTTP/1.1 102 Processing"), DRIP_MS)),
    outcome: "UNKNOWN",
    error: NO_ANSWER,
    endedBy: "attempt",
  },
  {
    name: "sends the body byte by byte",
    create: afterRequest((socket) => {
      socket.write(head(OK, "content-length: 1000000"));
      drip(socket, "a", DRIP_MS);
    }),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "attempt",
  },
  {
    name: "stops within the body",
    create: answer(`${head(OK, "content-length: 100")}abc`),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "attempt",
  },
  {
    name: "sends a body of 10 MB",
    create: answerAndEnd(Buffer.concat([Buffer.from(head(OK, `content-length: ${TEN_MEGABYTES}`)), body])),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "sends a gzip bomb of 10 MB",
    create: answerAndEnd(
      Buffer.concat([
        Buffer.from(head(OK, CLOSE, "content-encoding: gzip", `content-length: ${bomb.length}`)),
        bomb,
      ]),
    ),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "sends headers of 64 KiB",
    create: answerAndEnd(head(OK, `x-long: ${"y".repeat(64 * 1024)}`)),
    outcome: "UNKNOWN",
    error: /^The headers of the answer are larger than 16 KiB/,
    endedBy: "receiver",
  },
  {
    name: "sends 1,000 headers",
    create: answerAndEnd(
      head(OK, CLOSE, "content-length: 0", ...Array.from({ length: 1_000 }, (_, n) => `x${n}: y`)),
    ),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "answers with the status 999",
    create: answerAndEnd(head("HTTP/1.1 999 Odd", CLOSE, "content-length: 0")),
    outcome: "REJECTED",
    statusCode: 999,
    error: /^The endpoint answered 999\.$/,
    endedBy: "receiver",
  },
  {
    name: "sends less than its content-length, and closes",
    create: answerAndEnd(`${head(OK, "content-length: 100")}abc`),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "sends more than its content-length",
    create: answer(`${head(OK, "content-length: 2")}${"x".repeat(200)}`),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "sends a second answer that nobody asked for",
    create: answer(`${head(OK, "content-length: 0")}${head("HTTP/1.1 410 Gone", "content-length: 0")}`),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "sends both content-length and transfer-encoding",
    create: answerAndEnd(`${head(OK, "content-length: 3", "transfer-encoding: chunked")}0\r\n\r\n`),
    outcome: "UNKNOWN",
    error: /^The length of the answer is not that of its content-length/,
    endedBy: "receiver",
  },
  {
    name: "resets the connection within the status line",
    create: afterRequest((socket) => socket.write("HTTP/1.1 20", () => socket.resetAndDestroy())),
    outcome: "UNKNOWN",
    error: CLOSED,
    endedBy: "receiver",
  },
  {
    name: "closes the connection instead of an answer",
    create: afterRequest((socket) => socket.end()),
    outcome: "UNKNOWN",
    error: CLOSED,
    endedBy: "receiver",
  },
  {
    name: "answers before it reads the request",
    create: serve((socket) => {
      socket.write(head(OK, CLOSE, "content-length: 0"));
      socket.pause();
    }),
    outcome: "SUCCEEDED",
    statusCode: 200,
    endedBy: "receiver",
  },
  {
    name: "switches protocols",
    create: answerAndEnd(
      head("HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: upgrade"),
    ),
    outcome: "UNKNOWN",
    error: CLOSED,
    endedBy: "receiver",
  },
  {
    name: "speaks SSH",
    create: serve((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")),
    outcome: "UNKNOWN",
    error: /^The answer is not HTTP|^The connection was closed before the answer/,
    endedBy: "receiver",
  },
  {
    name: "redirects to a loopback address",
    create: answerAndEnd(
      head("HTTP/1.1 302 Found", CLOSE, "location: http://127.0.0.1:1/secret", "content-length: 0"),
    ),
    outcome: "REJECTED",
    statusCode: 302,
    error: /with Location http:\/\/127\.0\.0\.1:1\/secret; redirects are not followed/,
    endedBy: "receiver",
  },
];
