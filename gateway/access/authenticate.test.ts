import type { DescService } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { hashSecret } from "./api-key-secret.ts";
import { authenticate } from "./authenticate.ts";

const queries: unknown[] = [];
const query = (async (_: unknown, values: Buffer[]) => {
  queries.push(values[0]?.toString("hex"));
  return values[0]?.equals(hashSecret("good")) ? [{ id: "key_a", project_id: "proj_a", plugins: [] }] : [];
}) as Database["query"];
const database: Database = {
  query,
  transaction: (work) => work({ query }),
  snapshot: (work) => work({ query }),
};
const parts = { database, operatorKeyHash: hashSecret("operator") };

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
      plugins: [],
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

test("a health check needs no key", async () => {
  expect(await ask(Health)).toEqual({ kind: "nobody" });
});
