import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { deliverAll, newProject, openCustomer, openPlugin, setUp, toMessage } from "./testing/ground.ts";

/** A delivery to a key: which trigger, its fire time in seconds after an instant, and whether it is sent again later. */
interface Sent {
  readonly second: number;
  readonly repeats: number;
}

describe.runIf(hasRedis())("a key that holds the latest message", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  test("holds, after deliveries in any order with repeats, one of the latest fire time", async () => {
    const plugin = openPlugin(redis.url);
    const projectId = newProject();
    await setUp(plugin, projectId);
    const customer = openCustomer(redis.port, projectId);
    let runs = 0;

    const sent = fc.record({
      second: fc.integer({ min: 0, max: 5 }),
      repeats: fc.integer({ min: 0, max: 2 }),
    });
    const property = fc.asyncProperty(
      fc.array(sent, { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      async (all: Sent[], picks) => {
        runs += 1;
        const value = `run${runs}`;
        const messages = all.map(({ second }, index) =>
          toMessage(
            `${runs}x${index}`,
            { destination: { case: "key", value } },
            { fireTime: `2026-03-01T09:00:0${second}.000Z` },
          ),
        );
        const deliveries = all.flatMap(({ repeats }, index) =>
          Array.from({ length: repeats + 1 }, () => messages[index]),
        );
        const ordered = deliveries
          .map((message) => ({ message, at: picks.next().value }))
          .toSorted((a, b) => a.at - b.at)
          .flatMap(({ message }) => (message === undefined ? [] : [message]));

        let expected: (typeof messages)[number] | undefined;
        const seen = new Set<string>();
        for (const message of ordered) {
          if (!seen.has(message.guard) && (expected === undefined || message.fireTime >= expected.fireTime))
            expected = message;
          seen.add(message.guard);
          await deliverAll(plugin, projectId, [message]);
          const held = JSON.parse((await customer.get(`${projectId}:${value}`)) ?? "");
          expect(held.id).toBe(expected?.triggerId);
        }
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});
