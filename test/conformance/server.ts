import { buffer } from "node:stream/consumers";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createOnePort } from "../../gateway/edge/one-port.ts";
import { checkingDecoder } from "../../gateway/edge/request-text.ts";
import { createRpcListener } from "../../gateway/edge/rpc-listener.ts";
import { createLogger } from "../../mesh/logger.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import {
  ConformanceService,
  file_connectrpc_conformance_v1_service,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { conformanceService } from "./service.ts";

/**
 * The server that the Connect conformance suite tests: its service behind the listener and the port of the gateway.
 * It reads what is wanted from stdin, answers on stdout where it listens, and runs until SIGTERM.
 */
const HOST = "127.0.0.1";
const MAX_DEADLINE_MS = 600_000;
const LIMITS = { sniffMs: 10_000, headersMs: 10_000, requestMs: 60_000, idleMs: 75_000, maxStreams: 250 };
// As the gateway's own, with the types of the suite.
const JSON_OPTIONS = {
  ignoreUnknownFields: false,
  alwaysEmitImplicit: true,
  registry: createRegistry(file_connectrpc_conformance_v1_service),
  textDecoder: checkingDecoder,
};

// Both messages follow their length, as four bytes.
const wanted = fromBinary(ServerCompatRequestSchema, (await buffer(process.stdin)).subarray(4));
const listener = createRpcListener({
  routes: (router) => router.service(ConformanceService, conformanceService),
  ...(wanted.messageReceiveLimit > 0 && { readMaxBytes: wanted.messageReceiveLimit }),
  maxTimeoutMs: MAX_DEADLINE_MS,
  maxDeadlineMs: MAX_DEADLINE_MS,
  jsonOptions: JSON_OPTIONS,
  logger: createLogger("conformance", process.env, process.stderr),
});
const server = createOnePort(listener, LIMITS);
process.on("SIGTERM", () => void server.close(1_000).then(() => process.exit(0)));

const port = await server.listen(HOST, 0);
const answer = toBinary(ServerCompatResponseSchema, create(ServerCompatResponseSchema, { host: HOST, port }));
const length = Buffer.alloc(4);
length.writeUInt32BE(answer.length);
process.stdout.write(Buffer.concat([length, answer]));
