import { expect, test, vi } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

test("a fake clock stands still, and calls timers in their order, each at its time", async () => {
  const clock = createFakeClock("2027-01-01T00:00:00Z");
  const calls: [string, number][] = [];
  const startMs = clock.now().getTime();
  const note = (name: string) => () => void calls.push([name, clock.now().getTime() - startMs]);
  clock.after(300, note("late"));
  clock.after(100, note("early"));
  const cancel = clock.after(200, note("cancelled"));
  clock.after(100, () => void clock.after(150, note("second")));
  cancel();
  await clock.advance(250);
  expect(calls).toEqual([
    ["early", 100],
    ["second", 250],
  ]);
  await clock.advance(50);
  expect(calls.at(-1)).toEqual(["late", 300]);
});

test("a fake clock lets promises go on between timers, also when the global timers are replaced", async () => {
  vi.useFakeTimers();
  try {
    const clock = createFakeClock();
    const startMs = clock.now().getTime();
    const times: number[] = [];
    const loop = async () => {
      for (;;) {
        await new Promise<void>((done) => void clock.after(10, done));
        times.push(clock.now().getTime() - startMs);
      }
    };
    void loop();
    await clock.advance(35);
    expect(times).toEqual([10, 20, 30]);
  } finally {
    vi.useRealTimers();
  }
});

test("a fake clock refuses a start that is no instant", () => {
  expect(() => createFakeClock("tomorrow")).toThrow(RangeError);
});
