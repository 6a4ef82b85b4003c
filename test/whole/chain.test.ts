import { afterAll, beforeAll, expect, test } from "vitest";
import { checkChain, explainGap } from "../../sdk/chain.ts";
import { memoryStore } from "../../sdk/idempotency.ts";
import { EasyCron, every, webhook } from "../../sdk/index.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

let project: SharedProject;
let receiver: Receiver;
beforeAll(async () => {
  project = await joinMesh();
  receiver = await startReceiver({ secrets: [project.signingSecret] });
});
afterAll(async () => {
  await project.stop();
  await receiver.stop();
});

test("a receiver that lost two triggers notices it at the next one, and the ledger says what became of them", async () => {
  const { url, apiKey } = project;
  const easycron = new EasyCron({ url, apiKey });
  receiver.answer("/chain", (number) => ({ status: number === 2 ? 422 : 204 }));
  await easycron.jobs.create({
    name: "chain",
    schedule: every("1s"),
    target: webhook(`${receiver.url}/chain`),
  });
  const triggers = await receiver.waitFor(
    (requests) => requests.length >= 4 && requests.map(({ body }) => body.data),
  );
  const [first, second, third, fourth] = triggers.toSorted((a, b) => a.seq - b.seq);
  if (first === undefined || fourth === undefined) throw new Error("There are four.");
  const check = checkChain(memoryStore());
  expect(await check(first)).toEqual({ kind: "OK" });
  const found = await check(fourth);
  if (found.kind !== "GAP") throw new Error(`The check found ${found.kind}.`);
  expect(found.gap).toMatchObject({ job: { name: "chain" }, fromSeq: 2, toSeq: 3 });
  const explained = async () =>
    (await explainGap(easycron, found.gap)).map(({ trigger }) => [trigger?.id, trigger?.state]);
  // A result is recorded a moment after it came.
  await expect.poll(explained, { timeout: 10_000 }).toEqual([
    [second?.trigger, "EXHAUSTED"],
    [third?.trigger, "SUCCEEDED"],
  ]);
});
