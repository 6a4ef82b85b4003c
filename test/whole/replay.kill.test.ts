import { expect, inject, test } from "vitest";
import { EasyCron, EasyCronError } from "../../sdk/index.ts";
import { startMesh } from "../support/mesh.ts";
import { startReceiver } from "../support/receiver.ts";

const COUNT = 60;

test("each dead letter is replayed once, by an operation and by calls, while schedulers are killed with -9", async () => {
  const receiver = await startReceiver();
  const mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData });
  const client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  try {
    const die = async (name: string) => {
      receiver.answer(`/${name}`, (number) => ({ status: number <= COUNT ? 422 : 204 }));
      await client.jobs.create({
        name,
        target: { webhook: { url: `${receiver.url}/${name}` } },
        retryPolicy: { maxAttempts: 1 },
      });
      const runs = await Promise.all(Array.from({ length: COUNT }, () => client.jobs.run(name)));
      await expect
        .poll(() => client.triggers.list({ job: name, state: "EXHAUSTED" }).toArray(), { timeout: 20_000 })
        .toHaveLength(COUNT);
      return runs.map(({ id }) => id);
    };
    const [batch, single] = [await die("batch"), await die("single")];
    const operation = await client.triggers.replayAll({ job: "batch", maxPerSecond: 10 });
    // Each call is made again with its request id until it is answered.
    const replay = async (id: string): Promise<void> => {
      try {
        await client.raw.triggers.replayTrigger({ id, requestId: `mend-${id}` });
      } catch (error) {
        if (EasyCronError.from(error).code !== "UNAVAILABLE") throw error;
        await replay(id);
      }
    };
    const calls = (async () => {
      for (const id of single) await replay(id);
    })();
    for (const done of [10, 30]) {
      const progress = async () => (await client.operations.get(operation.id)).metadata?.doneCount ?? 0;
      await expect.poll(progress, { timeout: 30_000 }).toBeGreaterThanOrEqual(done);
      await mesh.kill9("scheduler", 0);
      await mesh.untilReady("scheduler", 0);
    }
    await calls;
    const { metadata } = await operation.wait({ timeoutMs: 60_000 });
    expect(metadata).toMatchObject({ doneCount: COUNT, leftOutCount: 0 });
    for (const [name, ids] of [
      ["batch", batch],
      ["single", single],
    ] as const) {
      await receiver.waitFor((all) => all.filter(({ job }) => job === name).length >= 2 * COUNT, 30_000);
      const again = receiver.requests.filter(
        ({ job, headers }) => job === name && headers["easycron-attempt"] !== "1",
      );
      expect(again.map(({ id, headers }) => `${id} ${headers["easycron-attempt"]}`).sort()).toEqual(
        ids.map((id) => `${id} 2`).sort(),
      );
    }
  } finally {
    await mesh.stop();
    await receiver.stop();
  }
});
