import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test, vi } from "vitest";
import { type ConnectFailed, type ConnectTimes, openConnection } from "./egress-connect.ts";

test("the TCP connection and the TLS handshake have one time limit together", async () => {
  const silent = createServer((socket) => socket.resume().on("error", () => {}));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const times: ConnectTimes = {};
    const failures: (ConnectFailed | null)[] = [];
    const options = {
      host: "slow.test",
      port,
      servername: "slow.test",
      session: undefined,
      timeoutMs: 1_000,
    };
    const answers: (() => void)[] = [];
    const lookup = (_: string, __: object, done: (error: null, all: object[]) => void) =>
      answers.push(() => done(null, [{ address: "127.0.0.1", family: 4 }]));
    openConnection({ ...options, lookup: lookup as never }, times, (error) => failures.push(error));
    // This lookup only hands over what DNS has said, and is a part of the TCP connection.
    vi.advanceTimersByTime(600);
    for (const answer of answers) answer();
    while (times.connectMs === undefined) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(399);
    expect(failures).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(failures).toMatchObject([{ phase: "tls", limitMs: 1_000, code: "ETIMEDOUT" }]);
  } finally {
    vi.useRealTimers();
    silent.close();
  }
});
