import { Webhook } from "standardwebhooks";
import { expect } from "vitest";
import type { SigningKey } from "../../gen/easycron/v1/signing_key_service_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { verify } from "../../sdk/webhook.ts";
import { isEd25519 } from "../../test/support/ed25519.ts";
import { type ReceivedRequest, type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, type TestJob } from "./ground.ts";

/** A project with one signing key, and a job. */
export interface KeyProject {
  readonly projectId: string;
  readonly secret: string;
  readonly keyId: string;
  readonly job: TestJob;
}

/** Two dispatchers whose clock can be set ahead, a receiver, and the calls about signing keys. */
export interface KeyScene {
  readonly ground: Ground;
  readonly dispatchers: readonly [TestDispatcher, TestDispatcher];
  /** The dispatchers' clock. */
  now(): number;
  /** Does something while the clock of the dispatchers is so many milliseconds ahead. */
  whileAhead(ms: number, work: () => Promise<void>): Promise<void>;
  addProject(): Promise<KeyProject>;
  /** Sends ten triggers through each dispatcher, and returns the requests. */
  fire(job: TestJob): Promise<readonly ReceivedRequest[]>;
  /** Fires, and checks that each request is signed with these keys, in this order: whsec_… or whpk_…. */
  expectSigned(job: TestJob, secrets: readonly string[]): Promise<void>;
  /** Each call goes to the first dispatcher if none is given. */
  create(
    projectId: string,
    request?: object,
    by?: TestDispatcher,
  ): Promise<{ key: SigningKey; secret: string }>;
  rotate(
    projectId: string,
    id: string,
    overlapSeconds: number,
    by?: TestDispatcher,
  ): Promise<{ key: SigningKey; old: SigningKey; secret: string }>;
  revoke(projectId: string, id: string, by?: TestDispatcher): Promise<SigningKey>;
  /** Reads all pages, from the second dispatcher. */
  list(projectId: string, pageSize?: number): Promise<SigningKey[]>;
  end(): Promise<void>;
}

const COUNT = 10;

/** Starts the dispatchers and the receiver. */
export async function openKeyScene(): Promise<KeyScene> {
  const ground = await createGround();
  const receiver = await startReceiver();
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;
  const start = () => ground.start({}, { clock: { now } });
  const dispatchers = [await start(), await start()] as const;
  const fire: KeyScene["fire"] = async (job) => fireAt(dispatchers, receiver, job, now());
  return {
    ground,
    dispatchers,
    now,
    whileAhead: async (ms, work) => {
      aheadMs += ms;
      await work().finally(() => {
        aheadMs -= ms;
      });
    },
    addProject: async () => {
      const { projectId, secret } = await ground.addProject();
      const job = await ground.addJob(projectId, `${receiver.url}/keys`);
      const rows = await ground.sql("select id from dispatcher.signing_keys where project_id = $1", [
        projectId,
      ]);
      return { projectId, secret, keyId: rows[0].id, job };
    },
    fire,
    expectSigned: async (job, secrets) => {
      for (const request of await fire(job)) expectSignedBy(request, secrets, now());
    },
    ...callsOf(dispatchers),
    end: async () => {
      await ground.end();
      await receiver.stop();
    },
  };
}

async function fireAt(
  dispatchers: KeyScene["dispatchers"],
  receiver: Receiver,
  job: TestJob,
  nowMs: number,
): Promise<readonly ReceivedRequest[]> {
  const batches = dispatchers.map(() =>
    Array.from({ length: COUNT }, (_, index) => eventOf(job, nowMs + index)),
  );
  await Promise.all(dispatchers.map((dispatcher, index) => dispatcher.accept(batches[index] ?? [])));
  const ids = new Set(batches.flat().map(({ triggerId }) => triggerId));
  return receiver.waitFor((all) => {
    const arrived = all.filter(({ id }) => ids.has(id));
    return arrived.length === ids.size && arrived;
  });
}

function callsOf([first, second]: KeyScene["dispatchers"]): Pick<
  KeyScene,
  "create" | "rotate" | "revoke" | "list"
> {
  return {
    create: async (projectId, request = {}, { client } = first) => {
      const { response } = await untilFree(() => client.createSigningKey({ projectId, request }));
      return { key: required(response?.signingKey), secret: response?.secret ?? "" };
    },
    rotate: async (projectId, id, overlapSeconds, { client } = first) => {
      const request = { id, overlap: { seconds: BigInt(overlapSeconds), nanos: 0 } };
      const { response } = await untilFree(() => client.rotateSigningKey({ projectId, request }));
      const [key, old] = [required(response?.signingKey), required(response?.oldSigningKey)];
      return { key, old, secret: response?.secret ?? "" };
    },
    revoke: async (projectId, id, { client } = first) => {
      const { response } = await untilFree(() => client.revokeSigningKey({ projectId, request: { id } }));
      return required(response?.signingKey);
    },
    list: async (projectId, pageSize = 0) => {
      const keys: SigningKey[] = [];
      for (let pageToken = ""; ; ) {
        const { response } = await second.client.listSigningKeys({
          projectId,
          request: { pageSize, pageToken },
        });
        keys.push(...(response?.signingKeys ?? []));
        pageToken = response?.nextPageToken ?? "";
        if (pageToken === "") return keys;
      }
    },
  };
}

/**
 * Repeats a change of keys that is refused with SERVICE_UNAVAILABLE, as callers do. A change waits for another one for 2 s,
 * which is too short when five tests change keys at once on a busy machine.
 */
async function untilFree<T>(change: () => Promise<T>, triesLeft = 10): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (triesLeft === 0 || EasyCronError.from(error).reason !== "SERVICE_UNAVAILABLE") throw error;
    return await untilFree(change, triesLeft - 1);
  }
}

function expectSignedBy(
  { headers, rawBody }: ReceivedRequest,
  secrets: readonly string[],
  nowMs: number,
): void {
  const signatures = String(headers["webhook-signature"]).split(" ");
  expect(signatures).toHaveLength(secrets.length);
  for (const [index, secret] of secrets.entries()) {
    const signature = signatures[index] ?? "";
    const one = { ...(headers as Record<string, string>), "webhook-signature": signature };
    if (secret.startsWith("whsec_")) expect(signature).toBe(signatureOf(one, rawBody, secret));
    else expect(isEd25519(one, rawBody, secret)).toBe(true);
    expect(() => verify(rawBody, one, secret, { now: () => new Date(nowMs) })).not.toThrow();
  }
}

/** Signs a request as another implementation of the specification does. */
function signatureOf(headers: Readonly<Record<string, string>>, body: Buffer, secret: string): string {
  const time = new Date(Number(headers["webhook-timestamp"]) * 1_000);
  return new Webhook(secret).sign(headers["webhook-id"] ?? "", time, body.toString());
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("The answer lacks a key.");
  return value;
}
