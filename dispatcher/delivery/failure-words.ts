import { isIP } from "node:net";
import { errors } from "undici";
import { type ConnectFailed, EgressBlocked } from "../../mesh/egress.ts";
import { codeOf, findCause, findConnectFailed } from "./error-causes.ts";
import { toShort } from "./kept-headers.ts";
import { WebhookTimeout } from "./webhook-timeout.ts";

/**
 * Says in words for the customer why a request that was written got no answer. The words are chosen by the class and code
 * of the error, because its message may contain an internal address.
 */
export function explainBroken(error: unknown): string {
  if (error instanceof WebhookTimeout)
    return `No complete answer within ${toSeconds(error.timeoutMs)}; the request may have arrived.`;
  if (error instanceof errors.HTTPParserError) return "The answer is not HTTP; the request may have arrived.";
  const code = codeOf(error);
  if (code === "UND_ERR_HEADERS_OVERFLOW")
    return "The headers of the answer are larger than 16 KiB; the request may have arrived.";
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH")
    return "The length of the answer is not that of its content-length; the request may have arrived.";
  return "The connection was closed before the answer; the request may have arrived.";
}

/** Says in words for the customer why no request was written. Never has an address that a name was resolved to. */
export function explainUnsent(error: unknown): string {
  if (error instanceof WebhookTimeout) return `No connection within ${toSeconds(error.timeoutMs)}.`;
  const blocked = findCause(error, (cause) => cause instanceof EgressBlocked);
  if (blocked instanceof EgressBlocked) return BLOCKED[blocked.why];
  const failed = findConnectFailed(error);
  if (failed?.limitMs !== undefined) return explainLimit(failed, failed.limitMs);
  const code = codeOf(error);
  const certificate = failed && explainCertificate(failed, code);
  if (certificate !== undefined) return certificate;
  const known = UNSENT.get(code);
  if (known !== undefined && !(failed?.phase === "tls" && CLOSED_CODES.has(code))) return known;
  if (failed?.phase === "tls") return explainTls(code);
  return "No connection could be made.";
}

const BLOCKED: Readonly<Record<EgressBlocked["why"], string>> = {
  address: "Blocked address: the address of this host is not public; use a URL with a public address.",
  port: "Blocked port: the port of the URL belongs to another protocol than HTTP; use another port.",
  denied: "Blocked address: this host must not be called; use the URL of a host of your own.",
};

function explainLimit({ phase }: ConnectFailed, limitMs: number): string {
  const limit = toSeconds(limitMs);
  switch (phase) {
    case "dns":
      return `The name servers of the host's domain did not answer within ${limit}.`;
    case "connect":
      return `The TCP connection took longer than ${limit}; check that a firewall lets the port through.`;
    case "tls":
      return `The TCP connection and the TLS handshake together took longer than ${limit}.`;
  }
}

function explainCertificate({ certificate, cause }: ConnectFailed, code: string): string | undefined {
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return `The endpoint's certificate, or one that it is issued by, has expired${dated(" on ", certificate?.validTo)}; renew it.`;
    case "CERT_NOT_YET_VALID":
      return `The endpoint's certificate, or one that it is issued by, is not valid yet${dated(", but from ", certificate?.validFrom)}.`;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return explainOtherNames(cause, certificate?.subjectAltName ?? "");
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return "The endpoint's certificate is self-signed; use one of a public certificate authority.";
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "The authority of the endpoint's certificate is not known; let the server send the intermediate certificates, and use a public certificate authority.";
    default:
      return undefined;
  }
}

function explainOtherNames(cause: unknown, names: string): string {
  const { host } = cause as { readonly host?: unknown };
  const wanted = typeof host === "string" && isIP(host) === 0 ? ` ${toShort(host)}` : " the URL's host";
  const list = names.replaceAll(/\b(DNS|IP Address):/g, "");
  return `The endpoint's certificate is not for${wanted}${list === "" ? "" : `, but for ${toShort(list)}`}.`;
}

function dated(before: string, text: string | undefined): string {
  const timeMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(timeMs) ? "" : `${before}${new Date(timeMs).toISOString().slice(0, 10)}`;
}

function explainTls(code: string): string {
  if (CLOSED_CODES.has(code)) return "The endpoint closed the connection during the TLS handshake.";
  if (OLD_TLS.has(code)) return "The endpoint speaks only versions of TLS before 1.2; allow TLS 1.2 or 1.3.";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
    return "The endpoint does not speak TLS on this port; use http:// or the port of HTTPS.";
  return `The TLS handshake failed${/^[A-Z0-9_]{1,80}$/.test(code) ? `: ${code}` : ""}.`;
}

const CLOSED_CODES: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

const OLD_TLS: ReadonlySet<string> = new Set([
  "ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
  "ERR_SSL_VERSION_TOO_LOW",
]);

const UNSENT: ReadonlyMap<string, string> = new Map([
  [
    "UND_ERR_INVALID_ARG",
    "The request cannot be sent as it is specified; check the target's URL and headers.",
  ],
  ["ENOTFOUND", "The host name has no address."],
  ["ENODATA", "The host name has no address."],
  ["ESERVFAIL", "The name servers of the host's domain reported a failure."],
  ["ETIMEOUT", "The name servers of the host's domain do not answer."],
  ["EAI_AGAIN", "The name servers of the host's domain do not answer."],
  ["ECONNREFUSED", "The connection was refused; check that the endpoint listens on this port."],
  ["ECONNRESET", "The connection was closed before the request was sent."],
  ["UND_ERR_SOCKET", "The connection was closed before the request was sent."],
  ["ETIMEDOUT", "The connection could not be made in time."],
  ["EHOSTUNREACH", "The host cannot be reached."],
  ["ENETUNREACH", "The host cannot be reached."],
]);

function toSeconds(ms: number): string {
  return `${ms / 1_000} s`;
}
