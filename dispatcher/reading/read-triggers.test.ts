import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AttemptOutcome, TriggerKind, TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { toPageToken } from "../../mesh/page-token.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  type TestJob,
  untilRecorded,
} from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;
let job: TestJob;
let other: TestJob;
/** Newest first: 7 of `job`, of which three share an instant, and 2 of `other`. */
let ids: string[];

const FAR_MS = Date.UTC(2031, 0, 1);

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatcher = await ground.start();
  job = await ground.addJob(projectId, receiver.url);
  other = await ground.addJob(projectId, receiver.url);
  const batch = [0, 1, 2, 3, 3, 3, 4].map((minute) => eventOf(job, FAR_MS + minute * 60_000));
  batch.push(...[5, 6].map((minute) => eventOf(other, FAR_MS + minute * 60_000)));
  await dispatcher.accept(batch);
  ids = batch
    .toSorted((a, b) => Number(b.nominalTimeMs - a.nominalTimeMs) || (a.triggerId < b.triggerId ? 1 : -1))
    .map(({ triggerId }) => triggerId);
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const list = async (request: object, jobUids: string[] = [], project = projectId) => {
  const { response } = await dispatcher.client.listTriggers({ projectId: project, request, jobUids });
  return { ids: response?.triggers.map(({ id }) => id) ?? [], next: response?.nextPageToken ?? "" };
};

describe("ListTriggers", () => {
  test.each([1, 2, 3, 4, 8, 9, 50])(
    "gives every trigger once, newest first, in pages of %i",
    async (pageSize) => {
      const seen: string[] = [];
      let pageToken = "";
      do {
        const page = await list({ pageSize, pageToken });
        expect(page.ids.length).toBeLessThanOrEqual(pageSize);
        seen.push(...page.ids);
        pageToken = page.next;
      } while (pageToken !== "");
      expect(seen).toEqual(ids);
    },
  );

  test("filters by job, state and time", async () => {
    expect((await list({ job: job.name }, [job.uid])).ids).toEqual(ids.slice(2));
    expect((await list({ job: job.name, pageSize: 3 }, [job.uid])).ids).toEqual(ids.slice(2, 5));
    expect((await list({ job: "both" }, [job.uid, other.uid])).ids).toEqual(ids);
    expect((await list({ job: "none" }, [])).ids).toEqual([]);
    expect((await list({ state: TriggerState.PENDING })).ids).toEqual(ids);
    expect((await list({ state: TriggerState.EXHAUSTED })).ids).toEqual([]);
    const startTime = timestampFromMs(FAR_MS + 3 * 60_000);
    const endTime = timestampFromMs(FAR_MS + 5 * 60_000);
    expect((await list({ startTime, endTime })).ids).toEqual(ids.slice(2, 6));
  });

  test("refuses a page token of another list, and a token that it did not return", async () => {
    const { next } = await list({ pageSize: 2 });
    for (const [request, pageToken] of [
      [{ state: TriggerState.PENDING }, next],
      [{}, next.replace(/.$/, (last) => (last === "A" ? "B" : "A"))],
      [{}, "x"],
      [{}, toPageToken(["triggers", projectId, "", 0, "-infinity", "infinity"], "1e400/trg_x")],
    ] as const) {
      await expect(list({ ...request, pageToken })).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
    }
    const stranger = await ground.addProject();
    await expect(list({ pageToken: next }, [], stranger.projectId)).rejects.toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });

  test("shows a project no trigger of another project, even if it names a job of that project", async () => {
    const stranger = await ground.addProject();
    expect((await list({}, [], stranger.projectId)).ids).toEqual([]);
    expect((await list({ job: job.name }, [job.uid], stranger.projectId)).ids).toEqual([]);
  });
});

describe("a trigger and its attempts", () => {
  test("are read with their times, outcomes and answers", async () => {
    receiver.answer("/read", () => ({
      status: 418,
      headers: { "content-type": "text/plain", "set-cookie": "s3cr3t" },
      body: "no\0",
    }));
    const failing = await ground.addJob(projectId, `${receiver.url}/read`);
    const at = Date.now() + 20;
    const event = eventOf(failing, at, { kind: TriggerKind.MANUAL, seq: 0 });
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    const { response } = await dispatcher.client.getTrigger({ projectId, request: { id: event.triggerId } });
    expect(response?.trigger).toMatchObject({
      id: event.triggerId,
      job: failing.name,
      jobUid: failing.uid,
      revision: 1,
      kind: TriggerKind.MANUAL,
      state: TriggerState.RETRYING,
      nominalTime: timestampFromMs(at),
      effectiveTime: timestampFromMs(at),
      attemptCount: 1,
    });
    const { startTime, lateness, nextAttemptTime } = response?.trigger ?? {};
    const startMs = Number(startTime?.seconds) * 1_000 + (startTime?.nanos ?? 0) / 1e6;
    expect(startMs).toBeGreaterThanOrEqual(at);
    const totalMs = Number(lateness?.total?.seconds) * 1_000 + (lateness?.total?.nanos ?? 0) / 1e6;
    expect(totalMs).toBeCloseTo(startMs - at);
    expect(lateness?.ours).toEqual(lateness?.total);
    expect(lateness?.theirs).toMatchObject({ seconds: 0n, nanos: 0 });
    expect(Number(nextAttemptTime?.seconds)).toBeGreaterThanOrEqual(at / 1_000 + 3);
    const read = await dispatcher.client.listAttempts({ projectId, request: { trigger: event.triggerId } });
    expect(read.response?.attempts).toMatchObject([
      {
        id: expect.stringMatching(/^att_[0-9a-z]{26}$/),
        number: 1,
        outcome: AttemptOutcome.REJECTED,
        statusCode: 418,
        error: "The endpoint answered 418 I'm a Teapot.",
        responseBody: "no\ufffd",
        connectionReused: false,
        connectDuration: expect.objectContaining({ seconds: 0n }),
        firstByteDuration: expect.objectContaining({ seconds: 0n }),
        responseHeaders: { "content-type": "text/plain", date: expect.stringMatching(/GMT$/) },
      },
    ]);
    // The receiver's URL has an IP address and is plain HTTP.
    expect(read.response?.attempts[0]).not.toHaveProperty("dnsDuration");
    expect(read.response?.attempts[0]).not.toHaveProperty("tlsDuration");
  });

  test("are not found by another project, in the same way as ids that do not exist", async () => {
    const stranger = await ground.addProject();
    const id = ids[0] ?? "";
    const { client } = dispatcher;
    const calls = [
      () => client.getTrigger({ projectId: stranger.projectId, request: { id } }),
      () => client.listAttempts({ projectId: stranger.projectId, request: { trigger: id } }),
      () => client.getTrigger({ projectId, request: { id: randomId("trg") } }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ reason: "TRIGGER_NOT_FOUND" });
  });
});
