import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { toPayload } from "../../sdk/raw.ts";
import { startMesh } from "../support/mesh.ts";
import { type ReceivedRequest, startReceiver } from "../support/receiver.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { createFleet, type Fleet } from "./fleet.ts";

const JOBS = 90;
/** How long after its change a job is watched. */
const WATCH_MS = 3_500;

let mesh: Awaited<ReturnType<typeof startMesh>>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let fleet: Fleet;

beforeAll(async () => {
  receiver = await startReceiver();
  mesh = await startMesh({
    schedulers: 2,
    dispatchers: 2,
    preparedData: inject("easycronPostgres").preparedData,
  });
  fleet = await createFleet(mesh, receiver, JOBS);
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
});

const reached = (ms: number) => new Promise<void>((done) => setTimeout(done, Math.max(0, ms - Date.now())));

/**
 * Changes each of some jobs at a moment of its own around a fire time, from 250 ms before to 30 ms after, where a
 * trigger is handed over, held in memory, being claimed or being sent. Returns when each call had returned.
 */
async function changeAtWorstMoments(names: readonly string[], change: (name: string) => Promise<unknown>) {
  const random = randomFrom(seedOf("EASYCRON_CHANGE_SEED"));
  const returned = new Map<string, number>();
  await Promise.all(
    names.map(async (name, index) => {
      const fireMs = Math.ceil((Date.now() + 1_000) / 1_000) * 1_000 + (index % 3) * 1_000;
      await reached(fireMs - 250 + random() * 280);
      await change(name);
      returned.set(name, Date.now());
    }),
  );
  await reached(Math.max(...returned.values()) + WATCH_MS);
  return returned;
}

/** The requests of a job for fire times later than the change's return. */
function later(name: string, returned: ReadonlyMap<string, number>) {
  const returnedMs = returned.get(name) ?? 0;
  return receiver.requests.filter(({ job, nominalMs }) => job === name && nominalMs > returnedMs);
}

describe("after a change has returned, no delivery starts under the old specification for a later fire time", () => {
  const names = (kind: number) => [...fleet.jobs.keys()].filter((_, index) => index % 3 === kind);

  test("PauseJob: nothing more arrives, and after ResumeJob the chain continues without a hole", async () => {
    const returned = await changeAtWorstMoments(names(0), (name) => fleet.client.raw.jobs.pauseJob({ name }));
    for (const name of names(0)) expect(later(name, returned)).toEqual([]);
    // One after the other: thirty at once are too much for the database of a busy machine.
    for (const name of names(0)) await fleet.client.raw.jobs.resumeJob({ name });
    for (const name of names(0)) {
      const request = await receiver.waitFor((requests) =>
        requests.find(
          ({ job, nominalMs }) => job === name && nominalMs > (returned.get(name) ?? 0) + WATCH_MS,
        ),
      );
      const isBefore = ({ job, nominalMs }: ReceivedRequest) => job === name && nominalMs < request.nominalMs;
      const countBefore = () => new Set(receiver.requests.filter(isBefore).map(({ id }) => id)).size;
      // On a busy machine, earlier ones may arrive later.
      await receiver.waitFor(() => countBefore() + 1 >= request.body.data.seq);
      expect(request.body.data.seq).toBe(countBefore() + 1);
    }
  });

  test("UpdateJob: what arrives is of the new revision", async () => {
    const returned = await changeAtWorstMoments(names(1), (name) =>
      fleet.client.raw.jobs.updateJob({
        job: { name, payload: toPayload("new") },
        updateMask: { paths: ["payload"] },
      }),
    );
    for (const name of names(1)) {
      const requests = await receiver.waitFor(() => {
        const found = later(name, returned);
        return found.length >= 2 && found;
      });
      for (const { body } of requests)
        expect(body.data).toMatchObject({ payload: "new", job: { revision: 2 } });
    }
  });

  test("DeleteJob: nothing more arrives, and the job is not found", async () => {
    const returned = await changeAtWorstMoments(names(2), (name) =>
      fleet.client.raw.jobs.deleteJob({ name }),
    );
    for (const name of names(2)) {
      expect(later(name, returned)).toEqual([]);
      await expect(fleet.client.raw.jobs.getJob({ name })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
    }
  });
});
