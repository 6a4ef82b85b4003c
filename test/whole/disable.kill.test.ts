import { expect, inject, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { startMesh } from "../support/mesh.ts";
import { startReceiver } from "../support/receiver.ts";

const COUNT = 60;

test("each job whose endpoint answers 410 is paused once, while dispatchers and schedulers are killed with -9", async () => {
  const receiver = await startReceiver();
  const mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData });
  const client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  try {
    const names = Array.from({ length: COUNT }, (_, index) => `gone-${index}`);
    for (const name of names) {
      receiver.answer(`/${name}`, () => ({ status: 410 }));
      await client.jobs.create({ name, target: { webhook: { url: `${receiver.url}/${name}` } } });
    }
    const countPaused = async () => (await client.jobs.list({ filter: "state = PAUSED" }).toArray()).length;
    for (const half of [names.slice(0, COUNT / 2), names.slice(COUNT / 2)]) {
      const before = receiver.requests.length;
      await Promise.all(half.map((name) => client.jobs.run(name)));
      // Answers are out, and hardly any result is recorded.
      await receiver.waitFor((all) => all.length >= before + 5, 30_000);
      await Promise.all([mesh.kill9("dispatcher", 0), mesh.kill9("scheduler", 0)]);
      await Promise.all([mesh.untilReady("dispatcher", 0), mesh.untilReady("scheduler", 0)]);
    }
    await expect.poll(countPaused, { timeout: 60_000 }).toBe(COUNT);
    for (const job of await client.jobs.list().toArray()) {
      if (!names.includes(job.name)) continue;
      expect(job.disableReason).toMatchObject({ cause: "GONE", statusCode: 410 });
      // The epoch is part of the etag: the creation of the job, and one pause.
      expect(job.etag).toMatch(/-2$/);
    }
  } finally {
    await mesh.stop();
    await receiver.stop();
  }
});
