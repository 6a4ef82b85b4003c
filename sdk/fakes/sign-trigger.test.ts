import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { toWebhookBody } from "../../dispatcher/delivery/webhook-body.ts";
import type { HeldTrigger } from "../../dispatcher/waiting/held-trigger.ts";
import { triggerId } from "../trigger-id.ts";
import { verify } from "../webhook.ts";
import { signTrigger, TEST_SECRET } from "./sign-trigger.ts";

describe("a signed trigger", () => {
  test("is genuine, for verify and for the library standardwebhooks", () => {
    const { headers, body, id, trigger } = signTrigger({ payload: { city: "München" } });
    expect(verify(body, headers, TEST_SECRET)).toMatchObject({ id, trigger });
    expect(new Webhook(TEST_SECRET).verify(body, headers)).toMatchObject({ data: trigger });
  });

  test("has the fields that EasyCron's own document has, in the same order", () => {
    const { trigger, body } = signTrigger({ attempt: 2, previousNominalTime: "2026-12-31T00:00:00.000Z" });
    const ms = (text: string | null) => (text === null ? null : Date.parse(text));
    const held = {
      id: trigger.trigger,
      kind: trigger.kind,
      projectId: trigger.project,
      jobName: trigger.job.name,
      jobUid: trigger.job.uid,
      revision: trigger.job.revision,
      fireTimeMs: ms(trigger.nominalTime),
      effectiveTimeMs: ms(trigger.effectiveTime),
      seq: trigger.seq,
      previousFireTimeMs: ms(trigger.previousNominalTime),
      nextFireTimeMs: ms(trigger.nextNominalTime),
      previousSkipped: 0,
      previousMissed: 0,
    } as unknown as HeldTrigger;
    expect(body).toBe(toWebhookBody(held, 2, "null"));
  });

  test("is of the job, the time and the payload that are given, and all fields can be replaced", () => {
    const now = new Date("2027-01-01T09:00:30.500Z");
    const { id, trigger, headers } = signTrigger({
      now,
      job: "payroll",
      payload: [1],
      seq: 0,
      kind: "MANUAL",
    });
    expect(trigger).toMatchObject({
      job: { name: "payroll", revision: 1 },
      nominalTime: "2027-01-01T09:00:00.000Z",
      effectiveTime: "2027-01-01T09:00:00.000Z",
      payload: [1],
      seq: 0,
      kind: "MANUAL",
    });
    expect(id).toBe(triggerId({ jobUid: trigger.job.uid, nominalTime: "2027-01-01T09:00:00.000Z" }));
    expect(headers["webhook-timestamp"]).toBe("1798794030");
    const other = signTrigger({ job: { uid: "job_2", revision: 7 }, nominalTime: "2027-01-01T00:00:00Z" });
    expect(other.trigger.job).toEqual({ name: "test-job", uid: "job_2", revision: 7 });
    expect(other.trigger.nominalTime).toBe("2027-01-01T00:00:00.000Z");
    expect(signTrigger({ trigger: "trg_mine" }).headers["webhook-id"]).toBe("trg_mine");
    expect(() => signTrigger({ nominalTime: "2027-02-29T00:00:00Z" })).toThrow(RangeError);
  });

  test("makes a request", async () => {
    const signed = signTrigger();
    const request = signed.request("https://example.com/hook");
    expect([request.method, request.url]).toEqual(["POST", "https://example.com/hook"]);
    expect(verify(await request.text(), request.headers, TEST_SECRET).id).toBe(signed.id);
  });
});
