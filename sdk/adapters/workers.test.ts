import { expect, test, vi } from "vitest";
import { signTrigger, TEST_SECRET } from "../fakes/sign-trigger.ts";
import { createReceiver } from "../receiver/create-receiver.ts";
import { describeAdapter } from "../testing/adapter-suite.ts";
import { toWorker } from "./workers.ts";

describeAdapter("Cloudflare Workers", async (receiver) => {
  const worker = toWorker(() => receiver);
  return {
    call: ({ body, ...init }) =>
      worker.fetch(new Request("http://localhost/", body === undefined ? init : { ...init, body }), {}),
    stop: async () => {},
  };
});

test("a Worker makes its receiver of the environment, once for each", async () => {
  const create = vi.fn((env: { readonly SECRET: string }) =>
    createReceiver({ secrets: env.SECRET, onTrigger: () => undefined, onError: () => {} }),
  );
  const worker = toWorker(create);
  const [right, wrong] = [{ SECRET: TEST_SECRET }, { SECRET: "whsec_AAAA" }];
  const statuses = await Promise.all(
    [right, right, wrong].map(async (env) => (await worker.fetch(signTrigger().request(), env)).status),
  );
  expect(statuses).toEqual([204, 204, 400]);
  expect(create).toHaveBeenCalledTimes(2);
});
