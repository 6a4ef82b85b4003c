import type { DescService } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { hashSecret } from "./api-key-secret.ts";
import type { KnownKeyRow } from "./api-keys.sql.ts";
import { authenticate } from "./authenticate.ts";

const TIME = Date.UTC(2027, 0, 1, 9);
const VALID = {
  id: "key_a",
  project_id: "proj_a",
  expire_time: null,
  has_expired: false,
  revoke_time: null,
  is_use_old: false,
};
const KEYS: readonly (readonly [secret: string, changes: Partial<KnownKeyRow>])[] = [
  ["good", {}],
  ["unused", { is_use_old: true }],
  ["revoked", { revoke_time: TIME, is_use_old: true }],
  ["expired", { expire_time: TIME, has_expired: true, is_use_old: true }],
  ["rotated", { expire_time: TIME }],
  ["mistaken", { secret_hash: hashSecret("good") }],
];

const queries: unknown[] = [];
const query = (async (_: unknown, values: Buffer[]) => {
  queries.push(values[0]?.toString("hex"));
  const [, changes] = KEYS.find(([secret]) => values[0]?.equals(hashSecret(secret))) ?? [];
  return changes === undefined ? [] : [{ ...VALID, secret_hash: values[0], ...changes }];
}) as Database["query"];
const database: Database = {
  query,
  transaction: (work) => work({ query }),
  snapshot: (work) => work({ query }),
};
const noted: string[] = [];
const uses = { note: (keyId: string) => void noted.push(keyId) };
const parts = { database, uses, operatorKeyHash: hashSecret("operator") };

function ask(service: DescService, authorization?: string) {
  const requestHeader = new Headers(authorization === undefined ? {} : { authorization });
  const [method] = service.methods;
  if (method === undefined) throw new Error("a service without methods");
  return authenticate(parts, { service, method, requestHeader });
}

test("a project's key identifies the calling project", async () => {
  for (const header of ["Bearer good", "bearer good", "Bearer   good "]) {
    expect(await ask(JobService, header)).toEqual({
      kind: "project",
      projectId: "proj_a",
      keyId: "key_a",
    });
  }
});

test("the operator's key may call the operator's services, without a query to the database", async () => {
  queries.length = 0;
  expect(await ask(ApiKeyService, "Bearer operator")).toEqual({ kind: "operator" });
  await expect(ask(JobService, "Bearer operator")).rejects.toMatchObject({
    reason: "PROJECT_KEY_REQUIRED",
    message: expect.stringMatching(
      /^The operator's key may not call easycron\.v1\.JobService\/\w+; use the API key/,
    ),
  });
  expect(queries).toEqual([]);
});

test("a project's key may not call the operator's services", async () => {
  await expect(ask(ApiKeyService, "Bearer good")).rejects.toMatchObject({ reason: "OPERATOR_KEY_REQUIRED" });
});

test.each([undefined, "", "Bearer", "Bearer ", "Basic good", "good", "Bearer good more", "Bearer g\u00f6d"])(
  "the header %j is API_KEY_MISSING",
  async (header) => {
    await expect(ask(JobService, header)).rejects.toMatchObject({ reason: "API_KEY_MISSING" });
  },
);

test("an unknown secret is API_KEY_INVALID, one that is too long without asking the database", async () => {
  await expect(ask(JobService, "Bearer bad")).rejects.toMatchObject({ reason: "API_KEY_INVALID" });
  queries.length = 0;
  await expect(ask(JobService, `Bearer ${"x".repeat(257)}`)).rejects.toMatchObject({
    reason: "API_KEY_INVALID",
  });
  expect(queries).toEqual([]);
});

test.each([
  ["revoked", "key_a was revoked at 2027-01-01T09:00:00.000Z. Use another key of the project."],
  [
    "expired",
    "key_a expired at 2027-01-01T09:00:00.000Z, because it was rotated. Use another key of the project.",
  ],
])("a key that is %s is API_KEY_INVALID, and the message says since when", async (secret, problem) => {
  await expect(ask(JobService, `Bearer ${secret}`)).rejects.toMatchObject({
    reason: "API_KEY_INVALID",
    message: `The API key is not valid for this call: ${problem}`,
  });
});

test("a rotated key is valid until it expires", async () => {
  expect(await ask(JobService, "Bearer rotated")).toMatchObject({ keyId: "key_a" });
});

test("a row that the database returns for another secret is not accepted", async () => {
  await expect(ask(JobService, "Bearer mistaken")).rejects.toMatchObject({ reason: "API_KEY_INVALID" });
});

test("the use of an accepted key is noted when the time that is stored is old", async () => {
  noted.length = 0;
  await ask(JobService, "Bearer good");
  await ask(JobService, "Bearer unused");
  for (const secret of ["revoked", "expired"]) await ask(JobService, `Bearer ${secret}`).catch(() => {});
  expect(noted).toEqual(["key_a"]);
});

test("a health check needs no key", async () => {
  expect(await ask(Health)).toEqual({ kind: "nobody" });
});

test("AcknowledgeTrigger needs no key, and every other method of its service does", async () => {
  const requestHeader = new Headers();
  const outcomes = await Promise.all(
    TriggerService.methods.map(async (method) => {
      const caller = await authenticate(parts, { service: TriggerService, method, requestHeader }).catch(
        () => null,
      );
      return caller === null ? "" : `${method.name} ${caller.kind}`;
    }),
  );
  expect(outcomes.filter((each) => each !== "")).toEqual(["AcknowledgeTrigger nobody"]);
});
