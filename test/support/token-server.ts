import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request for an access token. */
export interface TokenRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A token endpoint: a real HTTP server that records the requests it gets. */
export interface TokenServer {
  /** Its URL, without a slash at the end. */
  readonly url: string;
  readonly requests: readonly TokenRequest[];
  /** Sets how requests are answered from now on; `number` counts all, from 1. Default: the token `tok-<number>`. */
  answer(choose: (response: ServerResponse, number: number) => void): void;
  /** Closes the server and all its connections. */
  stop(): Promise<void>;
}

/** Answers with a JSON object. */
export function answerJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Starts a token endpoint on a free port of the loopback address. */
export async function startTokenServer(): Promise<TokenServer> {
  const requests: TokenRequest[] = [];
  let choose = (response: ServerResponse, number: number) =>
    answerJson(response, { access_token: `tok-${number}`, token_type: "Bearer", expires_in: 3_600 });
  const server = createServer(async (request, response) => {
    const body = await text(request);
    requests.push({ path: request.url ?? "", headers: request.headers, body });
    choose(response, requests.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (given) => {
      choose = given;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
