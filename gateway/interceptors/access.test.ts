import { create } from "@bufbuild/protobuf";
import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { GetJobRequestSchema, JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { hashSecret } from "../access/api-key-secret.ts";
import { callerKey, identifiedMsKey } from "../access/caller.ts";
import { createAccessInterceptor } from "./access.ts";

const GATE_MS = 1_000_000;

/** Makes a call whose body has arrived at a time, and returns how often its key was looked up, and what followed. */
async function callAt(nowMs: number, rows: readonly object[]) {
  let lookups = 0;
  const query = (async () => {
    lookups += 1;
    return rows;
  }) as unknown as Database["query"];
  const contextValues = createContextValues();
  contextValues.set(identifiedMsKey, GATE_MS);
  const request: UnaryRequest = {
    stream: false,
    service: JobService,
    method: JobService.method.getJob,
    requestMethod: "POST",
    url: "http://a/",
    header: new Headers({ authorization: "Bearer a" }),
    contextValues,
    signal: new AbortController().signal,
    message: create(GetJobRequestSchema),
  };
  const interceptor = createAccessInterceptor({
    database: { query, transaction: (work) => work({ query }), snapshot: (work) => work({ query }) },
    operatorKeyHash: hashSecret("operator"),
    uses: { note: () => {} },
    clock: { now: () => nowMs },
  });
  const call = interceptor(() => Promise.reject(new Error("the handler was called")));
  const error: unknown = await call(request).catch((thrown: unknown) => thrown);
  return { lookups, error, caller: contextValues.get(callerKey) };
}

const VALID = {
  id: "key_a",
  project_id: "proj_a",
  secret_hash: hashSecret("a"),
  expire_time: null,
  has_expired: false,
  revoke_time: null,
  is_use_old: false,
};

test.each([0, 500])("a key that was accepted %i ms ago is not looked up again", async (ageMs) => {
  const { lookups, error } = await callAt(GATE_MS + ageMs, []);
  expect([lookups, error]).toEqual([0, new Error("the handler was called")]);
});

test.each([
  ["was accepted 501 ms ago", 501],
  ["was accepted before the clock was set back", -1],
])("a key that %s is looked up again, and refused when it has ended", async (_, ageMs) => {
  const valid = await callAt(GATE_MS + ageMs, [VALID]);
  expect(valid).toMatchObject({ lookups: 1, caller: { kind: "project", keyId: "key_a" } });
  const ended = await callAt(GATE_MS + ageMs, [{ ...VALID, revoke_time: GATE_MS }]);
  expect(ended).toMatchObject({ lookups: 1, error: { reason: "API_KEY_INVALID" } });
});
