import { expect, test } from "vitest";
import { callHeaders, currentCall, serveCall } from "./current-call.ts";
import { createLogger } from "./logger.ts";

const call = {
  requestId: "r-1",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

test("a call is current while it is served, also after a wait, and not after its answer", async () => {
  let later: (() => void) | undefined;
  const seen = await serveCall(call, async () => {
    await new Promise(setImmediate);
    // What the call leaves behind, such as a loop that it has woken.
    const left = new Promise<void>((resolve) => {
      later = resolve;
    }).then(() => currentCall());
    return { during: currentCall(), left };
  });
  later?.();
  expect([seen.during, await seen.left, currentCall()]).toEqual([call, undefined, undefined]);
});

test("inner calls get the request id and the trace; outside of a call they get neither", async () => {
  const headers = await serveCall(call, async () => callHeaders());
  expect(headers).toEqual({ "x-request-id": "r-1", traceparent: call.traceparent });
  expect(callHeaders()).toEqual({});
});

test("log lines of a call have its request id and trace id, others do not", async () => {
  const lines: string[] = [];
  const logger = createLogger("gateway", {}, { write: (line) => lines.push(line) });
  await serveCall(call, async () => logger.info({}, "in a call"));
  logger.info({}, "outside");
  const [inside, outside] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(inside).toMatchObject({ requestId: "r-1", traceId: "0af7651916cd43dd8448eb211c80319c" });
  expect(outside).not.toHaveProperty("requestId");
});
