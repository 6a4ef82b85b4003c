import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { signTrigger, TEST_SECRET } from "../fakes/sign-trigger.ts";
import { createReceiver } from "../receiver/create-receiver.ts";
import type { Receiver } from "../receiver/receiver.ts";

/** A request to an adapter. */
export interface AdapterRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | undefined;
}

/** A receiver that is reached through an adapter. */
export interface Mounted {
  readonly call: (request: AdapterRequest) => Promise<Response>;
  readonly stop: () => Promise<void>;
}

/** Makes a server listen on a free port, and calls it at a path. */
export async function listen(server: Server, path = "/"): Promise<Mounted> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return {
    call: ({ body, ...init }) => fetch(url, body === undefined ? init : { ...init, body }),
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A signed trigger whose body changes when it is parsed and printed again. */
export function oddTrigger(): AdapterRequest {
  const { id, headers, body } = signTrigger({ job: "payroll" });
  const odd = body.replace('"payload":null', '"payload": {"city" : "M\\u00fcnchen — 東京",  "amount":1.0}');
  const now = new Date();
  const signed = {
    "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
    "webhook-signature": new Webhook(TEST_SECRET).sign(id, now, odd),
  };
  return { method: "POST", headers: { ...headers, ...signed }, body: odd };
}

/** What of an adapter is not as with the others. */
export interface AdapterFacts {
  /** The status that a GET gets. Default 405. */
  readonly statusOfGet?: number;
}

/** Describes what every adapter does. */
export function describeAdapter(
  name: string,
  mount: (receiver: Receiver) => Promise<Mounted>,
  { statusOfGet = 405 }: AdapterFacts = {},
): void {
  describe(`the adapter for ${name}`, () => {
    const onTrigger = vi.fn((): unknown => undefined);
    const onError = vi.fn();
    let mounted: Mounted;
    beforeAll(async () => {
      mounted = await mount(
        createReceiver({ secrets: TEST_SECRET, onTrigger, onError, maxBodyBytes: 100_000 }),
      );
    });
    afterAll(() => mounted.stop());

    test("gives the body to the receiver as it came, and its answer to the sender", async () => {
      onTrigger.mockReturnValueOnce({ paid: 42 });
      const response = await mounted.call(oddTrigger());
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toContain("application/json");
      expect(await response.json()).toEqual({ paid: 42 });
      expect(onTrigger).toHaveBeenLastCalledWith(
        expect.objectContaining({ payload: { city: "München — 東京", amount: 1 } }),
        expect.anything(),
      );
    });

    test("answers 204 without a body when the handler returns nothing", async () => {
      const response = await mounted.call(oddTrigger());
      expect(response.status).toBe(204);
      expect(await response.text()).toBe("");
    });

    test("answers 400 to a body that was not signed, and does not call the handler", async () => {
      onTrigger.mockClear();
      const { body = "", ...rest } = oddTrigger();
      const response = await mounted.call({ ...rest, body: body.replace("payroll", "fireall") });
      expect(response.status).toBe(400);
      expect(await response.text()).toContain("SIGNATURE_MISMATCH");
      expect(onTrigger).not.toHaveBeenCalled();
    });

    test("answers 413 to a body that is too large", async () => {
      const response = await mounted.call({ ...oddTrigger(), body: "x".repeat(100_001) });
      expect(response.status).toBe(413);
    });

    test("passes on the headers that say what the sender shall do", async () => {
      onTrigger.mockRejectedValueOnce(new Error("a secret of the handler"));
      const response = await mounted.call(oddTrigger());
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain("a secret of the handler");
    });

    test(`answers ${statusOfGet} to a GET`, async () => {
      const response = await mounted.call({ method: "GET", headers: {} });
      expect(response.status).toBe(statusOfGet);
    });
  });
}

/** Expects that a mounted receiver answers 500 and says how to cure that the body was parsed before. */
export async function expectCure({ call, stop }: Mounted, cure: string): Promise<void> {
  try {
    const response = await call(oddTrigger());
    expect(response.status).toBe(500);
    expect(await response.text()).toContain(cure);
  } finally {
    await stop();
  }
}

/** A receiver that takes every genuine trigger, and logs nothing. */
export function quietReceiver(): Receiver {
  return createReceiver({ secrets: TEST_SECRET, onTrigger: () => undefined, onError: () => {} });
}
