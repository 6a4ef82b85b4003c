import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";

/** A request of HTTP/1.1 or HTTP/2, as one Node listener gets both. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;
/** The response that goes with it. */
export type NodeResponse = ServerResponse | Http2ServerResponse;
/** What answers requests of either. */
export type NodeListener = (request: NodeRequest, response: NodeResponse) => void;

/**
 * Reads away what a client still sends after its request was answered early, for at most `graceMs`; then cuts it.
 * Without this connect-node leaves the rest of a body that is too large unread: HTTP/2 clients hang for ever, and
 * kept-alive HTTP/1.1 connections go deaf.
 */
export function drainUnread(listener: NodeListener, graceMs = 5_000): RequestListener {
  const drain: NodeListener = (request, response) => {
    // Leaving the iteration early must not destroy the request.
    request[Symbol.asyncIterator] = () => request.iterator({ destroyOnReturn: false });
    // Http2ServerResponse emits "finish" only when the stream closes, the stream itself when all is handed over.
    const out = "stream" in response ? response.stream : response;
    out.once("finish", () => drainRest(request, graceMs));
    listener(request, response);
  };
  return drain;
}

function drainRest(request: NodeRequest, graceMs: number): void {
  if (request.readableEnded || request.destroyed) return;
  const cut = setTimeout(() => {
    if ("stream" in request) request.stream.close(constants.NGHTTP2_NO_ERROR);
    else request.socket.destroy();
  }, graceMs);
  const done = () => clearTimeout(cut);
  request.once("close", done).once("end", done);
  request.resume();
}
