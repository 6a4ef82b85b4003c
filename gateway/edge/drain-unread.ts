import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";

/** A request over HTTP/1.1 or HTTP/2. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;
/** The response to a NodeRequest. */
export type NodeResponse = ServerResponse | Http2ServerResponse;
/** A listener that answers requests of both HTTP versions. */
export type NodeListener = (request: NodeRequest, response: NodeResponse) => void;

/**
 * Wraps a listener so that the rest of a request body is read and dropped when the answer was sent before the body
 * had arrived. After `graceMs` the request is cut off. Without this, connect-node leaves the rest of a too large body
 * unread: an HTTP/2 client then waits for ever, and a kept-alive HTTP/1.1 connection answers no further request.
 */
export function drainUnread(listener: NodeListener, graceMs = 5_000): RequestListener {
  const drain: NodeListener = (request, response) => {
    // Leaving the iteration early must not destroy the request.
    request[Symbol.asyncIterator] = () => request.iterator({ destroyOnReturn: false });
    // Http2ServerResponse emits "finish" only when the stream closes. The stream emits it when all data is handed
    // over.
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
