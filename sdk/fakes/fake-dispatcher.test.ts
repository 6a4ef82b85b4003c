import { describe, expect, test } from "vitest";
import { DEFAULT_RETRY_POLICY, nextState } from "../../dispatcher/delivery/next-state.ts";
import { toDelivery } from "../../dispatcher/delivery/webhook-answer.ts";
import { DEFAULT_NON_RETRYABLE_STATUS_CODES } from "../../scheduler/changes/job-defaults.ts";
import { createFakeClock } from "./fake-clock.ts";
import { createFakeDispatcher } from "./fake-dispatcher.ts";

const answering = (...answers: (() => Response)[]) => {
  const requests: Request[] = [];
  const fetch = async (request: Request) => {
    requests.push(request);
    return (answers[requests.length - 1] ?? answers.at(-1))?.() ?? new Response();
  };
  return { requests, fetch };
};
const answer =
  (status: number, headers = {}) =>
  () =>
    new Response(null, { status, headers });

describe("the fake dispatcher", () => {
  test("makes attempts with growing pauses, under one id, until one succeeds", async () => {
    const receiver = answering(answer(500), answer(400), answer(204));
    const { state, attempts } = await createFakeDispatcher({ receiver }).deliver({ job: "payroll" });
    expect(state).toBe("SUCCEEDED");
    const startMs = attempts[0]?.startTime.getTime() ?? 0;
    expect(attempts.map(({ number, startTime }) => [number, startTime.getTime() - startMs])).toEqual([
      [1, 0],
      [2, 5_000],
      [3, 15_000],
    ]);
    const ids = receiver.requests.map(({ headers }) => headers.get("webhook-id"));
    expect(new Set(ids).size).toBe(1);
    expect((await receiver.requests[2]?.json()) as object).toMatchObject({ data: { attempt: 3 } });
  });

  test("stops after the last attempt", async () => {
    const receiver = answering(answer(500));
    const { state, attempts } = await createFakeDispatcher({ receiver, maxAttempts: 3 }).deliver();
    expect([state, attempts.length]).toEqual(["EXHAUSTED", 3]);
  });

  test("sends one attempt as it is told", async () => {
    const clock = createFakeClock("2027-06-01T00:00:30Z");
    const receiver = answering(() => new Response("thanks"));
    const sent = await createFakeDispatcher({ receiver, clock }).send({ attempt: 4, payload: 1 });
    expect(sent).toMatchObject({ number: 4, startTime: clock.now(), status: 200, body: "thanks" });
    expect((await receiver.requests[0]?.json()) as object).toMatchObject({
      data: { attempt: 4, payload: 1, nominalTime: "2027-06-01T00:00:00.000Z" },
    });
  });

  test.each([
    [200, {}],
    [204, {}],
    [302, { location: "/" }],
    [400, { "retry-after": "90" }],
    [409, { "retry-after": "90" }],
    [404, {}],
    [405, {}],
    [410, {}],
    [413, {}],
    [422, {}],
    [429, {}],
    [429, { "retry-after": "7" }],
    [500, { "retry-after": "90" }],
    [422, { "webhook-delivery": "abort-message" }],
    [500, { "webhook-delivery": "disable" }],
    [429, { "retry-after": "90" }],
    [503, { "retry-after": "90" }],
    [503, { "retry-after": "1" }],
    [503, { "retry-after": "7200" }],
    [503, {}],
  ])("does after %i with %j what EasyCron does", async (status, headers) => {
    const receiver = answering(answer(status, headers), answer(204));
    const { state, attempts } = await createFakeDispatcher({ receiver }).deliver();
    const [first, second] = attempts;
    const nowMs = first?.startTime.getTime() ?? 0;
    const { outcome } = toDelivery({ statusCode: status, headers, body: Buffer.alloc(0) }, nowMs);
    const nonRetryableStatusCodes = DEFAULT_NON_RETRYABLE_STATUS_CODES;
    const policy = { ...DEFAULT_RETRY_POLICY, nonRetryableStatusCodes };
    const ended = { outcome, policy, attempt: 1, nowMs, effectiveTimeMs: nowMs, nextFireTimeMs: null };
    // Its pauses are those without jitter: half-way for its own, none for those that were asked for.
    const [middle, none] = [() => 0.5, () => 0].map((random) => nextState({ ...ended, random }));
    expect(second === undefined ? state : "RETRYING").toBe(middle?.state);
    if (middle?.state !== "RETRYING" || none?.state !== "RETRYING") return;
    const isAsked = status === 429 || (status !== 400 && Number(Object.values(headers)[0] ?? 0) > 5);
    expect(second?.startTime.getTime()).toBe(isAsked ? none.dueTimeMs : middle.dueTimeMs);
  });
});
