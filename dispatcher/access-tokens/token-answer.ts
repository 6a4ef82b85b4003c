import { STATUS_CODES } from "node:http";
import { TokenFailed } from "./token-failed.ts";

/** An access token that was fetched. */
export interface AccessToken {
  readonly token: string;
  /** How long it can be used from when it was issued, in milliseconds. */
  readonly lifetimeMs: number;
}

/** The answer of a token endpoint. */
export interface TokenAnswer {
  readonly statusCode: number;
  readonly body: string;
}

/** How long a token is used whose answer does not say it. RFC 6749, section 5.1, only recommends to say it. */
export const DEFAULT_LIFETIME_MS = 300_000;
/** A token is never used for longer, whatever its answer says. */
export const MAX_LIFETIME_MS = 86_400_000;
/** A longer token does not fit into the headers that common servers accept. */
const MAX_TOKEN_LENGTH = 8_192;

/**
 * Reads the answer of a token endpoint (RFC 6749, sections 5.1 and 5.2). Throws TokenFailed if it has no token. The error's
 * message shows the endpoint's error code, unless `secret` is in it.
 */
export function readTokenAnswer({ statusCode, body }: TokenAnswer, secret: string): AccessToken {
  const answer = parse(body);
  if (statusCode !== 200) throw new TokenFailed(explainStatus(statusCode, answer, secret));
  if (answer === undefined)
    throw new TokenFailed("The token endpoint answered with something else than a JSON object.");
  const { access_token: token, token_type: type, expires_in: expiresIn } = answer;
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
    throw new TokenFailed("The answer of the token endpoint has no access_token that a header can have.");
  if (token.length > MAX_TOKEN_LENGTH)
    throw new TokenFailed(
      `The access_token has ${token.length} characters; at most ${MAX_TOKEN_LENGTH} can be sent. Ask for fewer scopes.`,
    );
  // Some servers leave the type out, although it is required.
  if (type !== undefined && !(typeof type === "string" && type.toLowerCase() === "bearer"))
    throw new TokenFailed(
      "The access token has another token_type than Bearer, which is the only one that can be sent.",
    );
  return { token, lifetimeMs: toLifetime(expiresIn) };
}

function parse(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

// Some servers write the seconds as a text.
function toLifetime(expiresIn: unknown): number {
  const seconds = typeof expiresIn === "string" && expiresIn !== "" ? Number(expiresIn) : expiresIn;
  if (typeof seconds !== "number" || !(seconds >= 0)) return DEFAULT_LIFETIME_MS;
  return Math.min(seconds * 1_000, MAX_LIFETIME_MS);
}

function explainStatus(
  statusCode: number,
  answer: Readonly<Record<string, unknown>> | undefined,
  secret: string,
): string {
  const name = STATUS_CODES[statusCode];
  const code = answer?.error;
  const isShown = typeof code === "string" && /^[\w.:/-]{1,64}$/.test(code) && !code.includes(secret);
  const head = `The token endpoint answered ${statusCode}${name === undefined ? "" : ` ${name}`}`;
  if (statusCode >= 300 && statusCode < 400)
    return `${head}; redirects are not followed. Use the final URL as tokenUrl.`;
  const withCode = isShown ? `${head} with the error ${code}` : head;
  return statusCode < 500 ? `${withCode}; check clientId, clientSecret and scopes.` : `${withCode}.`;
}
