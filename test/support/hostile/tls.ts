import { createServer, type Server } from "node:net";
import tls, { type TlsOptions } from "node:tls";
import type { TestAuthority } from "../certificate.ts";
import { type Behaviour, head } from "./behaviour.ts";

const DAY_MS = 86_400_000;

/** Answers each request with 200, if a handshake comes about. */
const serve =
  (toOptions: (authority: TestAuthority) => TlsOptions) =>
  (authority: TestAuthority): Server => {
    const server = tls.createServer(toOptions(authority), (socket) => {
      socket.on("error", () => {});
      socket.once("data", () =>
        socket.end(head("HTTP/1.1 200 OK", "connection: close", "content-length: 0")),
      );
    });
    server.on("tlsClientError", () => {});
    return server;
  };

const daysAgo = (days: number) => Date.now() - days * DAY_MS;

/** Receivers with which no TLS connection comes about. */
export const TLS: readonly Behaviour[] = [
  {
    name: "stalls the TLS handshake",
    create: () => createServer((socket) => socket.resume()),
    isTls: true,
    outcome: "NOT_SENT",
    error:
      /^The TCP connection and the TLS handshake together took longer than 5 s\.$|^No connection within /,
    endedBy: "handshake",
  },
  {
    name: "closes within the TLS handshake",
    create: () => createServer((socket) => socket.once("data", () => socket.end())),
    isTls: true,
    outcome: "NOT_SENT",
    error: /^The endpoint closed the connection during the TLS handshake\.$/,
    endedBy: "receiver",
  },
  {
    name: "speaks plain HTTP on the port of HTTPS",
    create: () =>
      createServer((socket) => socket.once("data", () => socket.end(head("HTTP/1.1 400 Bad Request")))),
    isTls: true,
    outcome: "NOT_SENT",
    error: /^The endpoint does not speak TLS on this port/,
    endedBy: "receiver",
  },
  {
    name: "has a certificate that has expired",
    create: serve((authority) => authority.issue({ validMs: [daysAgo(30), Date.UTC(2026, 0, 2)] })),
    isTls: true,
    outcome: "NOT_SENT",
    error: /has expired on 2026-01-02; renew it\.$/,
    endedBy: "receiver",
  },
  {
    name: "has a certificate that is not valid yet",
    create: serve((authority) => authority.issue({ validMs: [Date.UTC(2040, 0, 2), Date.UTC(2041, 0, 2)] })),
    isTls: true,
    outcome: "NOT_SENT",
    error: /is not valid yet, but from 2040-01-02\.$/,
    endedBy: "receiver",
  },
  {
    name: "has a certificate for another name",
    create: serve((authority) => authority.issue({ name: "other.acme.io" })),
    isTls: true,
    outcome: "NOT_SENT",
    error: /^The endpoint's certificate is not for the URL's host, but for other\.acme\.io\.$/,
    endedBy: "receiver",
  },
  {
    name: "has a self-signed certificate",
    create: serve((authority) => authority.issue({ isSelfSigned: true })),
    isTls: true,
    outcome: "NOT_SENT",
    error: /^The endpoint's certificate is self-signed/,
    endedBy: "receiver",
  },
  {
    name: "speaks TLS 1.0 only",
    create: serve((authority) => ({
      ...authority.issue(),
      minVersion: "TLSv1",
      maxVersion: "TLSv1",
      ciphers: "DEFAULT@SECLEVEL=0",
    })),
    isTls: true,
    outcome: "NOT_SENT",
    error: /^The endpoint speaks only versions of TLS before 1\.2/,
    endedBy: "receiver",
  },
];
