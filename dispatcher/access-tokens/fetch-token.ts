import type { Dispatcher } from "undici";
import { type AccessToken, readTokenAnswer, type TokenAnswer } from "./token-answer.ts";
import { TokenFailed } from "./token-failed.ts";

/** A client of a token endpoint. Its secret is named by its id, sec_…. */
export interface TokenClient {
  /** Scheme, host and port of the token endpoint. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly clientId: string;
  readonly secretId: string;
  readonly scopes: readonly string[];
}

/** What fetching a token needs. */
export interface FetchTokenParts {
  /** An agent of `createEgressAgent`. A token is fetched so rarely that it needs no connections that are kept. */
  readonly agent: Dispatcher;
  readonly userAgent: string;
  /** Says in words for the customer why no request was written. */
  readonly explainUnsent: (error: unknown) => string;
  /** From connecting to the end of the answer. Default 10 s. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Fetches an access token with the client credentials grant (RFC 6749, section 4.4). The client authenticates itself with
 * HTTP Basic, which every token endpoint must support (section 2.3.1). Reads at most 64 KiB, and does not follow
 * redirects. Throws TokenFailed, whatever the endpoint does.
 */
export async function fetchToken(
  parts: FetchTokenParts,
  client: TokenClient,
  secret: string,
): Promise<AccessToken> {
  return readTokenAnswer(await ask(parts, client, secret), secret);
}

function ask(
  { agent, userAgent, explainUnsent, timeoutMs = TIMEOUT_MS }: FetchTokenParts,
  client: TokenClient,
  secret: string,
): Promise<TokenAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<TokenAnswer>();
  const chunks: Buffer[] = [];
  let statusCode = 0;
  let bytes = 0;
  let isWritten = false;
  let controller: Dispatcher.DispatchController | undefined;
  const stop = (words: string, cause?: unknown): void => {
    const failed = new TokenFailed(words, { cause });
    reject(failed);
    controller?.abort(failed);
  };
  const timer = setTimeout(
    () => stop(`The token endpoint did not answer within ${timeoutMs / 1_000} s.`),
    timeoutMs,
  );
  promise.catch(() => {}).finally(() => clearTimeout(timer));
  let isOver = false;
  promise.then(
    () => {},
    () => {
      isOver = true;
    },
  );
  agent.dispatch(toRequest(client, secret, userAgent), {
    onRequestStart: (given) => {
      if (isOver) return given.abort(new Error("The time limit was reached before there was a connection."));
      controller = given;
      isWritten = true;
    },
    onResponseStart: (_, status) => {
      statusCode = status;
    },
    onResponseData: (_, chunk) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) return stop("The answer of the token endpoint is larger than 64 KiB.");
      chunks.push(chunk);
    },
    onResponseEnd: () => resolve({ statusCode, body: Buffer.concat(chunks).toString() }),
    onResponseError: (_, error) => {
      const words = isWritten
        ? "The token endpoint did not answer completely."
        : `The token endpoint cannot be called. ${explainUnsent(error)}`;
      stop(words, error);
    },
  });
  return promise;
}

function toRequest(client: TokenClient, secret: string, userAgent: string): Dispatcher.DispatchOptions {
  const form = new URLSearchParams({ grant_type: "client_credentials" });
  if (client.scopes.length > 0) form.set("scope", client.scopes.join(" "));
  const credentials = `${encode(client.clientId)}:${encode(secret)}`;
  return {
    origin: client.origin,
    path: client.path,
    method: "POST",
    headers: [
      ...["content-type", "application/x-www-form-urlencoded", "accept", "application/json"],
      ...["user-agent", userAgent, "authorization", `Basic ${Buffer.from(credentials).toString("base64")}`],
    ],
    body: form.toString(),
    // The one time limit is that of `ask`.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

// RFC 6749, section 2.3.1 and appendix B: both are encoded as in a form before they are put together.
function encode(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
