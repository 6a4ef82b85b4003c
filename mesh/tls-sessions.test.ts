import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls, { type SecureVersion, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestAuthority } from "../test/support/certificate.ts";
import { createTlsSessions, MAX_AGE_MS, type TlsSessions } from "./tls-sessions.ts";

const authority = createTestAuthority();
let server: tls.Server;
beforeAll(async () => {
  server = tls.createServer(authority.issue(), (socket) => socket.on("error", () => {}).end("x"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => {
  server.close();
});

/**
 * Connects, resuming the session that is kept under the name. Returns whether the server agreed. `meanwhile` is called at
 * the end of the handshake.
 */
async function connect(
  sessions: TlsSessions,
  name: string,
  maxVersion?: SecureVersion,
  meanwhile = () => {},
): Promise<boolean> {
  const offered = sessions.get(name);
  const { port } = server.address() as AddressInfo;
  const socket: TLSSocket = tls.connect({
    host: "127.0.0.1",
    port,
    ca: authority.certificate,
    ...(maxVersion && { maxVersion }),
    ...(offered && { session: offered.session }),
  });
  await once(socket, "secureConnect");
  const isResumed = socket.isSessionReused();
  meanwhile();
  sessions.keepOf(name, socket, offered);
  socket.resume();
  await once(socket, "close");
  return isResumed;
}

// A server of TLS 1.2 gives a resumed session on; one of TLS 1.3 need not.
test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a session is resumed until the certificate was checked too long ago, however often it was resumed (%s)",
  async (version) => {
    let nowMs = 0;
    const sessions = createTlsSessions(10, () => nowMs);
    const isResumed = () => connect(sessions, "a", version);
    expect(await isResumed()).toBe(false);
    nowMs = MAX_AGE_MS - 1;
    expect(await isResumed()).toBe(true);
    nowMs = MAX_AGE_MS + 1;
    expect(await isResumed()).toBe(false);
    expect(await isResumed()).toBe(true);
  },
);

test("what is forgotten or renewed during a handshake does not make the session that it resumes younger", async () => {
  let nowMs = 0;
  const sessions = createTlsSessions(10, () => nowMs);
  const isResumed = (meanwhile?: () => void) => connect(sessions, "a", "TLSv1.2", meanwhile);
  expect(await isResumed()).toBe(false);
  nowMs = MAX_AGE_MS - 1;
  expect(await isResumed(() => sessions.forget("a"))).toBe(true);
  nowMs = MAX_AGE_MS + 1;
  expect(await isResumed()).toBe(false);
});

test("the session that was used least recently leaves a full list", async () => {
  const sessions = createTlsSessions(2);
  for (const name of ["a", "b", "a", "c"]) await connect(sessions, name);
  expect(sessions.size).toBe(2);
  expect(sessions.get("b")).toBeUndefined();
  sessions.forget("c");
  expect(["a", "c"].map((name) => sessions.get(name) !== undefined)).toEqual([true, false]);
});

test("nothing is kept in a list without places, nor of a connection without TLS", async () => {
  const sessions = createTlsSessions(0);
  expect(await connect(sessions, "a")).toBe(false);
  expect(await connect(sessions, "a")).toBe(false);
  expect(sessions.size).toBe(0);
});
