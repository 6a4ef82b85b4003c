import { expect, inject, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { startMesh } from "../support/mesh.ts";
import { type ReceivedRequest, startReceiver } from "../support/receiver.ts";

const COUNT = 12;

test("triggers of an ordered job come one after the other, through failures and dispatchers that are killed with -9", async () => {
  const receiver = await startReceiver();
  const mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData });
  const client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  try {
    // Each third answer is a failure.
    receiver.answer("/ordered", (number) => ({ status: number % 3 === 0 ? 503 : 204 }));
    await client.jobs.create({
      name: "ordered",
      target: { webhook: { url: `${receiver.url}/ordered` } },
      retryPolicy: { delays: ["1s"], maxAttempts: 20 },
      ordering: "PER_JOB",
    });
    const ids: string[] = [];
    for (let index = 0; index < COUNT; index++) ids.push((await client.jobs.run("ordered")).id);
    const ofJob = (all: readonly ReceivedRequest[]) => all.filter(({ job }) => job === "ordered");
    for (const arrived of [3, 7]) {
      await receiver.waitFor((all) => ofJob(all).length >= arrived, 60_000);
      await mesh.kill9("dispatcher", 0);
      await mesh.untilReady("dispatcher", 0);
    }
    await expect
      .poll(() => client.triggers.list({ job: "ordered", state: "SUCCEEDED" }).toArray(), { timeout: 60_000 })
      .toHaveLength(COUNT);
    // Attempts may be repeated after a kill, but no trigger comes before an earlier one has succeeded.
    const order = ofJob(receiver.requests).map(({ id }) => ids.indexOf(id));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(order).size).toBe(COUNT);
  } finally {
    await mesh.stop();
    await receiver.stop();
  }
});
