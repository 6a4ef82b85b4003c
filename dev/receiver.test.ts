import { createHmac } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { createLatenessReport } from "./lateness.ts";
import { type Arrival, type Receiver, startReceiver } from "./receiver.ts";

const key = Buffer.alloc(32, 1);
const secret = `whsec_${key.toString("base64")}`;
let receiver: Receiver | undefined;
afterEach(async () => {
  await receiver?.close();
  receiver = undefined;
});

async function listen() {
  const arrivals: Arrival[] = [];
  const refusals: string[] = [];
  receiver = await startReceiver({
    port: 0,
    secret,
    onVerified: (arrival) => arrivals.push(arrival),
    onRefused: (reason) => refusals.push(reason),
  });
  return { url: receiver.url, arrivals, refusals };
}

function send(url: string, body: string, signed = body) {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = createHmac("sha256", key).update(`msg_1.${timestamp}.${signed}`).digest("base64");
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
  return fetch(url, { method: "POST", headers, body });
}

describe("the demo receiver", () => {
  test("accepts a signed webhook, and reports when it arrived", async () => {
    const { url, arrivals } = await listen();
    const beforeMs = Date.now();
    expect((await send(url, '{"a":1}')).status).toBe(204);
    expect(arrivals).toMatchObject([{ id: "msg_1", trigger: undefined }]);
    expect(arrivals[0]?.arrivedMs).toBeGreaterThanOrEqual(beforeMs);
  });

  test("refuses a changed body, another method, and a body of more than 1 MiB", async () => {
    const { url, arrivals, refusals } = await listen();
    expect((await send(url, '{"a":2}', '{"a":1}')).status).toBe(400);
    expect((await fetch(url)).status).toBe(405);
    expect(
      await send(url, "x".repeat(2 ** 20 + 1)).then(
        ({ status }) => status,
        () => 413,
      ),
    ).toBe(413);
    expect(arrivals).toEqual([]);
    expect(refusals).toEqual(["SIGNATURE_MISMATCH", expect.stringContaining("more than 1048576 bytes")]);
  });
});

describe("the lateness report", () => {
  const START_MS = Date.UTC(2026, 2, 1, 9);
  const arrivalOf = (second: number, lateMs: number, id = `trg_${second}`): Arrival => {
    const nominalTime = new Date(START_MS + second * 1_000).toISOString();
    const job = { name: "demo", uid: "job_1", revision: 1 };
    const times = {
      nominalTime,
      effectiveTime: nominalTime,
      previousNominalTime: null,
      nextNominalTime: null,
    };
    const trigger = {
      trigger: id,
      kind: "SCHEDULED",
      project: "proj_1",
      job,
      seq: 1,
      attempt: 1,
      payload: {},
      ...times,
    };
    return { id, trigger, arrivedMs: Date.parse(nominalTime) + lateMs };
  };

  test("prints each trigger, and the median of ten fire times once", () => {
    const lines: string[] = [];
    const report = createLatenessReport(START_MS, (line) => lines.push(line));
    for (let index = 0; index < 12; index++) report(arrivalOf(index * 10, index));
    report(arrivalOf(110, 500));
    expect(lines[0]).toBe("verified demo, due 2026-03-01T09:00:00.000Z, attempt 1, 0 ms late, trg_0");
    expect(lines.filter((line) => line.startsWith("median"))).toEqual([
      "median lateness of 10 fire times: 4.5 ms",
    ]);
    expect(lines.length).toBe(14);
  });

  test("counts catch-up triggers in two lines, and leaves them out of the median", () => {
    const lines: string[] = [];
    const report = createLatenessReport(START_MS, (line) => lines.push(line));
    for (let index = -3; index <= 0; index++) report(arrivalOf(index, 4_000));
    expect(lines).toEqual([
      "verified demo: catching up on triggers that were due while nothing ran",
      "verified demo: caught up on 3 triggers",
      "verified demo, due 2026-03-01T09:00:00.000Z, attempt 1, 4000 ms late, trg_0",
    ]);
  });
});
