import { expect, test } from "vitest";
import { createAuditSlots } from "./slots.ts";

/** Work that ends when it is told to. */
function held() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { end, work: () => ended };
}

test("as many tasks run at once as there are slots, and the next starts when one has ended or failed", async () => {
  const slots = createAuditSlots({ slots: 1, waitMs: 60_000 });
  const first = held();
  const order: string[] = [];
  const running = slots.run(async () => {
    await first.work();
    order.push("first");
  });
  const failing = slots.run(async () => {
    order.push("second");
    throw new Error("failed");
  });
  const third = slots.run(async () => order.push("third"));
  first.end();
  await running;
  await expect(failing).rejects.toThrow("failed");
  await third;
  expect(order).toEqual(["first", "second", "third"]);
});

test("a task is refused with a time to retry when no slot becomes free for long", async () => {
  const slots = createAuditSlots({ slots: 1, waitMs: 1 });
  const first = held();
  const running = slots.run(first.work);
  await expect(slots.run(async () => {})).rejects.toMatchObject({
    reason: "SERVICE_UNAVAILABLE",
    retryAfterMs: 2,
  });
  first.end();
  await running;
  await slots.run(async () => {});
});
