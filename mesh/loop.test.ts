import { expect, test, vi } from "vitest";
import { startLoop } from "./loop.ts";

/** A loop that never pauses on its own account, and what it tells. */
function watch(runs: (number: number) => Promise<{ more: boolean }>, everyMs = 3_600_000) {
  const told: unknown[] = [];
  let number = 0;
  const loop = startLoop(() => runs(++number), {
    everyMs,
    onFailure: (error) => told.push(error),
    onRecovery: (failures) => told.push(failures),
  });
  return { loop, told };
}

test("a loop runs again at once while there is more, and when it is woken", async () => {
  const fourth = Promise.withResolvers<void>();
  const third = Promise.withResolvers<void>();
  const { loop } = watch(async (number) => {
    if (number === 3) third.resolve();
    if (number === 4) fourth.resolve();
    return { more: number < 3 };
  });
  await third.promise;
  loop.wake();
  await fourth.promise;
  await loop.stop();
});

test("a failure is reported once and does not end the loop, even a synchronous one", async () => {
  const done = Promise.withResolvers<void>();
  const { loop, told } = watch((number) => {
    if (number <= 2) throw new Error(`failure ${number}`);
    done.resolve();
    return Promise.resolve({ more: false });
  }, 1);
  await done.promise;
  await loop.stop();
  expect(told).toEqual([new Error("failure 1"), 2]);
});

test("a loop that keeps failing is reported every ten seconds, with the number of failures since", async () => {
  vi.useFakeTimers();
  try {
    const reports: unknown[] = [];
    let isBroken = true;
    const loop = startLoop(
      async () => {
        if (isBroken) throw new Error("broken");
        return { more: false };
      },
      {
        everyMs: 1_000,
        onFailure: (_, failures) => reports.push({ failures }),
        onRecovery: (failures) => reports.push({ recoveredAfter: failures }),
      },
    );
    // It runs at 0, 100, 300, 700, 1,500 ms, and then every second.
    await vi.advanceTimersByTimeAsync(21_000);
    expect(reports).toEqual([{ failures: 1 }, { failures: 13 }, { failures: 10 }]);
    expect(Math.round(loop.sinceSuccessMs())).toBe(21_000);
    isBroken = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reports.at(-1)).toEqual({ recoveredAfter: 24 });
    expect(loop.sinceSuccessMs()).toBeLessThan(1_000);
    await loop.stop();
  } finally {
    vi.useRealTimers();
  }
});

test("an idle run is neither a success nor a recovery", async () => {
  vi.useFakeTimers();
  try {
    const told: unknown[] = [];
    const runs = [
      () => Promise.reject(new Error("broken")),
      async () => ({ more: false, isIdle: true }),
      () => Promise.reject(new Error("still broken")),
      async () => ({ more: false }),
    ];
    const loop = startLoop(() => runs.shift()?.() ?? Promise.resolve({ more: false }), {
      everyMs: 1_000,
      onFailure: (error) => told.push(error),
      onRecovery: (failures) => told.push(failures),
    });
    // It runs at 0, 100, 1,100 and 1,300 ms.
    await vi.advanceTimersByTimeAsync(1_200);
    expect(told).toEqual([new Error("broken")]);
    expect(Math.round(loop.sinceSuccessMs())).toBe(1_200);
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toEqual([new Error("broken"), 2]);
    expect(Math.round(loop.sinceSuccessMs())).toBe(100);
    await loop.stop();
  } finally {
    vi.useRealTimers();
  }
});

test("stop waits for the current run", async () => {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let ended = false;
  const { loop } = watch(async () => {
    begun.resolve();
    await release.promise;
    ended = true;
    return { more: true };
  });
  await begun.promise;
  const stopped = loop.stop();
  release.resolve();
  await stopped;
  expect(ended).toBe(true);
});
