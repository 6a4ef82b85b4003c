import { expect } from "vitest";
import { EasyCron, triggerId } from "../../sdk/index.ts";
import type { Trigger } from "../../sdk/raw.ts";
import type { startMesh } from "../support/mesh.ts";
import type { startReceiver } from "../support/receiver.ts";

type Mesh = Awaited<ReturnType<typeof startMesh>>;
type Receiver = Awaited<ReturnType<typeof startReceiver>>;

/** Jobs that fire every second, and the means to account for every one of their fire times. */
export interface Fleet {
  readonly client: EasyCron;
  /** Name to uid. */
  readonly jobs: ReadonlyMap<string, string>;
  /** The ids that the fire times of a window must have, whole seconds, start inclusive and end exclusive. */
  expectedIds(startMs: number, endMs: number): Set<string>;
}

/** Creates `count` jobs over the public API that fire every second at the receiver. */
export async function createFleet(mesh: Mesh, receiver: Receiver, count: number): Promise<Fleet> {
  const client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
  const requests = Array.from({ length: count }, (_, index) => ({
    job: {
      name: `fleet-${index}`,
      schedules: [
        { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
      ],
      target: { kind: { case: "webhook" as const, value: { url: receiver.url } } },
    },
  }));
  const created = await client.raw.jobs.batchCreateJobs({ requests });
  const jobs = new Map(created.jobs.map(({ name, uid }) => [name, uid]));
  return {
    client,
    jobs,
    expectedIds: (startMs, endMs) => {
      const ids = new Set<string>();
      for (const jobUid of jobs.values()) {
        for (let at = startMs; at < endMs; at += 1_000)
          ids.add(triggerId({ jobUid, nominalTime: new Date(at) }));
      }
      return ids;
    },
  };
}

/**
 * Waits until every fire time of the window has arrived, then holds the receiver's and the ledger's account against
 * the computed one: each fire time has exactly one trigger, under the computed id, delivered at least once and
 * SUCCEEDED; nothing came early. Returns how many deliveries were duplicates (of one id).
 */
export async function accountFor(
  fleet: Fleet,
  receiver: Receiver,
  startMs: number,
  endMs: number,
): Promise<number> {
  const expected = fleet.expectedIds(startMs, endMs);
  const missing = new Set(expected);
  await receiver.waitFor((requests) => {
    for (const request of requests) missing.delete(request.id);
    return missing.size === 0;
  }, 60_000);
  const within = receiver.requests.filter(({ nominalMs }) => nominalMs >= startMs && nominalMs < endMs);
  expect(within.filter(({ id }) => !expected.has(id))).toEqual([]);
  expect(within.filter(({ arrivedMs, nominalMs }) => arrivedMs < nominalMs)).toEqual([]);
  await checkLedger(fleet, startMs, endMs);
  return within.length - expected.size;
}

async function checkLedger(fleet: Fleet, startMs: number, endMs: number): Promise<void> {
  const byJob = Map.groupBy(await readTriggers(fleet, startMs, endMs), ({ jobUid }) => jobUid);
  for (const jobUid of fleet.jobs.values()) {
    const triggers = byJob.get(jobUid) ?? [];
    const wanted: string[] = [];
    for (let at = endMs - 1_000; at >= startMs; at -= 1_000)
      wanted.push(triggerId({ jobUid, nominalTime: new Date(at) }));
    expect(triggers.map(({ id }) => id)).toEqual(wanted);
    const seqs = triggers.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) - index));
  }
}

/** Reads the project's triggers of a time span, latest first. */
async function readTriggers({ client }: Fleet, startMs: number, endMs: number): Promise<Trigger[]> {
  const timestamp = (ms: number) => ({ seconds: BigInt(ms / 1_000), nanos: 0 });
  const request = { startTime: timestamp(startMs), endTime: timestamp(endMs), pageSize: 500 };
  const triggers: Trigger[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.raw.triggers.listTriggers({ ...request, pageToken });
    triggers.push(...page.triggers);
    if (page.nextPageToken === "") return triggers;
    pageToken = page.nextPageToken;
  }
}
