import { expect, test } from "vitest";
import { ConnectFailed, EgressBlocked } from "../../mesh/egress.ts";
import { explainUnsent } from "./failure-words.ts";

const coded = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code} 10.0.0.7`), { code, ...more });

test.each([
  [new ConnectFailed("dns", {}, { limitMs: 5_000 }), /^The name servers .* did not answer within 5 s\.$/],
  [new ConnectFailed("connect", {}, { limitMs: 5_000 }), /^The TCP connection took longer than 5 s;/],
  [
    new ConnectFailed("tls", {}, { limitMs: 5_000 }),
    /^The TCP connection and the TLS handshake together took longer than 5 s\.$/,
  ],
  [new ConnectFailed("tls", {}, { cause: coded("ECONNRESET") }), /closed the connection during the TLS/],
  [new ConnectFailed("tls", {}, { cause: coded("CERT_HAS_EXPIRED") }), /has expired; renew it\.$/],
  [
    new ConnectFailed("tls", {}, { cause: coded("ERR_TLS_CERT_ALTNAME_INVALID", { host: "hooks.acme.io" }) }),
    /^The endpoint's certificate is not for hooks\.acme\.io\.$/,
  ],
  [
    new ConnectFailed("tls", {}, { cause: coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE") }),
    /authority .* not known/,
  ],
  [new ConnectFailed("tls", {}, { cause: coded("ERR_SSL_X") }), /^The TLS handshake failed: ERR_SSL_X\.$/],
  [new ConnectFailed("tls", {}, { cause: coded("see 10.0.0.7") }), /^The TLS handshake failed\.$/],
  [new ConnectFailed("connect", {}, { cause: coded("ECONNREFUSED") }), /^The connection was refused;/],
  [new ConnectFailed("connect", {}, { cause: new Error("10.0.0.7") }), /^No connection could be made\.$/],
  [new EgressBlocked("10.0.0.7", "address"), /^Blocked address: .* is not public;/],
  [new EgressBlocked("10.0.0.7", "port"), /^Blocked port: /],
  [new EgressBlocked("10.0.0.7", "denied"), /^Blocked address: this host must not be called;/],
])("%s is explained without an address", (error, words) => {
  expect(explainUnsent(error)).toMatch(words);
  expect(explainUnsent(error)).not.toContain("10.0.0.7");
});
