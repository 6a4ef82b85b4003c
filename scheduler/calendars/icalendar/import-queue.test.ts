import { expect, test, vi } from "vitest";
import { createFairQueue } from "./import-queue.ts";

const limits = { atOnce: 2, waitingOfOne: 2, waitingOfAll: 5, waitMs: 60_000 };
const unavailable = { reason: "SERVICE_UNAVAILABLE", retryAfterMs: 1_000 };

/** A queue whose pieces of work run until they are told to end; `begun` says in which order they began. */
function open(over: Partial<typeof limits> = {}) {
  const queue = createFairQueue({ ...limits, ...over });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (name: string) =>
    queue.run(name.charAt(0), () => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    });
  const end = async (name: string) => {
    ends.get(name)?.();
    await new Promise(setImmediate);
  };
  return { queue, begun, ask, end };
}

test("the queue runs one import of each project at a time, and the projects take turns", async () => {
  const { begun, ask, end } = open();
  const answers = ["a1", "a2", "a3", "b1", "c1", "b2"].map(ask);
  await end("nothing");
  expect(begun).toEqual(["a1", "b1"]);
  await end("a1");
  expect(begun.slice(2)).toEqual(["c1"]);
  await end("c1");
  expect(begun.slice(3)).toEqual(["a2"]);
  await end("b1");
  await end("a2");
  await end("b2");
  await end("a3");
  expect(await Promise.all(answers)).toEqual(["a1", "a2", "a3", "b1", "c1", "b2"]);
  expect(begun.slice(4)).toEqual(["b2", "a3"]);
});

test("the queue refuses imports when one project, or all together, have too many waiting", async () => {
  const { ask, end } = open();
  const answers = ["a1", "a2", "a3"].map(ask);
  await expect(ask("a4")).rejects.toMatchObject(unavailable);
  answers.push(...["b1", "b2", "b3", "c1"].map(ask));
  await expect(ask("d1")).rejects.toMatchObject(unavailable);
  for (const name of ["a1", "b1", "c1", "a2", "b2", "a3", "b3"]) await end(name);
  expect(await Promise.all(answers)).toHaveLength(7);
});

test("the queue rejects an import that has waited too long, and continues", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { begun, ask, end } = open({ atOnce: 1 });
    const first = ask("a1");
    const late = expect(ask("b1")).rejects.toMatchObject(unavailable);
    vi.advanceTimersByTime(limits.waitMs);
    await late;
    await end("a1");
    const next = ask("c1");
    await end("c1");
    await end("c1");
    expect(await Promise.all([first, next])).toEqual(["a1", "c1"]);
    expect(begun).toEqual(["a1", "c1"]);
  } finally {
    vi.useRealTimers();
  }
});

test("the queue continues after an import that fails", async () => {
  const { queue } = open({ atOnce: 1 });
  const failing = queue.run("a", () => Promise.reject(new Error("broken")));
  const next = queue.run("a", async () => "done");
  await expect(failing).rejects.toThrow("broken");
  expect(await next).toBe("done");
});
