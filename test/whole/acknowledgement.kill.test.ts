import { expect, inject, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { acknowledgement } from "../../sdk/receiver.ts";
import { startMesh } from "../support/mesh.ts";
import { startReceiver } from "../support/receiver.ts";

const COUNT = 60;

test("no acknowledgement is lost, before the answer or after it, while dispatchers are killed with -9", async () => {
  const receiver = await startReceiver();
  const mesh = await startMesh({ dispatchers: 2, preparedData: inject("easycronPostgres").preparedData });
  const client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  const answers: Promise<{ readonly state: string }>[] = [];
  // While its dispatcher is down, a gateway answers 503; the SDK repeats.
  const acknowledge = (url: string) => {
    const answer = acknowledgement(url, { maxRetries: 8 }).succeed();
    answers.push(answer);
    return answer;
  };
  try {
    const run = async (name: string, isEarly: boolean) => {
      receiver.answer(`/${name}`, async () => {
        const url = String(receiver.requests.at(-1)?.headers["easycron-ack-url"]);
        if (isEarly) await acknowledge(url);
        else setTimeout(() => void acknowledge(url), 500);
        return { status: 202 };
      });
      await client.jobs.create({
        name,
        target: { webhook: { url: `${receiver.url}/${name}` } },
        acknowledgement: { deadline: "3600s" },
      });
      const ids: string[] = [];
      for (let number = 0; number < COUNT; number++) {
        ids.push((await client.jobs.run(name)).id);
        if (isEarly && number % 20 === 10) await mesh.kill9("dispatcher", Math.floor(number / 20) % 2);
      }
      return ids;
    };
    const [early, later] = await Promise.all([run("early", true), run("later", false)]);
    // Each attempt that was lost with its dispatcher is made again, so a trigger may have several.
    for (const id of [...early, ...later]) {
      await expect
        .poll(async () => (await client.triggers.get(id)).state, { timeout: 60_000 })
        .toBe("SUCCEEDED");
    }
    for (const { state } of await Promise.all(answers)) expect(state).toBe("SUCCEEDED");
    expect(await client.triggers.list({ state: "ACCEPTED" }).toArray()).toEqual([]);
  } finally {
    await mesh.stop();
    await receiver.stop();
  }
});
