import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPool, type Database, type Pool } from "../db/pool.ts";
import { ApiKeyService } from "../gen/easycron/v1/api_key_service_pb.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { ProjectService } from "../gen/easycron/v1/project_service_pb.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { OPERATOR_KEY, type StartedGateway, startGateway } from "./testing/start-gateway.ts";

/** A real database with two gateways. Their clock stands still unless a test moves it. */
let testDatabase: TestDatabase;
let admin: pg.Client;
const pools: Pool[] = [];
const gateways: StartedGateway[] = [];
let keys: Client<typeof ApiKeyService>;
let project: string;
let nowMs = Date.UTC(2026, 0, 1);
/** Called when a gateway has asked the database about a key. */
let onIdentified = () => {};
/** The writes of last uses. Each begins before the call is answered. */
const uses: Promise<unknown>[] = [];

beforeAll(async () => {
  testDatabase = await createDatabase();
  admin = new pg.Client({ connectionString: testDatabase.url() });
  await admin.connect();
  const scheduler = { listJobs: async () => ({ response: {} }) };
  for (const applicationName of ["gateway-1", "gateway-2"]) {
    const pool = createPool({ connectionString: testDatabase.url("gateway"), max: 4, applicationName });
    pools.push(pool);
    gateways.push(await startGateway({ database: watched(pool), scheduler, clock: { now: () => nowMs } }));
  }
  keys = clientOf(ApiKeyService, 0, OPERATOR_KEY);
});

afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  for (const pool of pools) await pool.close();
  await admin?.end();
  await testDatabase?.drop();
});

beforeEach(async () => {
  const projects = clientOf(ProjectService, 0, OPERATOR_KEY);
  project = (await projects.createProject({ project: { displayName: "Acme" } })).project?.id ?? "";
});

/** A database that tells what the gateways do with it. */
function watched(pool: Pool): Database {
  const query: Database["query"] = (statement, values) => {
    const answer = pool.query(statement, values);
    if (statement.name === "apiKeyNoteUse") uses.push(answer);
    if (statement.name === "apiKeyByHash") void answer.finally(() => onIdentified());
    return answer;
  };
  return { ...pool, query };
}

function clientOf<S extends typeof ApiKeyService | typeof ProjectService | typeof JobService>(
  service: S,
  gateway: number,
  key: string,
): Client<S> {
  const transport = createConnectTransport({
    baseUrl: gateways[gateway]?.url ?? "",
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${key}`);
        return next(request);
      },
    ],
  });
  return createClient(service, transport);
}

/** Calls both gateways with a key, and returns the reason of each refusal, or "accepted". */
function tryKey(secret: string): Promise<string[]> {
  const calls = gateways.map((_, gateway) => clientOf(JobService, gateway, secret).listJobs({}));
  return Promise.all(
    calls.map((call) =>
      call.then(
        () => "accepted",
        (error: unknown) => reasonOf(error),
      ),
    ),
  );
}

function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error);
}

async function create(displayName = "CI") {
  const { apiKey, secret } = await keys.createApiKey({ project, apiKey: { displayName } });
  return { id: apiKey?.id ?? "", secret };
}

const refusalOf = (call: Promise<unknown>) => call.then(() => "accepted", reasonOf);
const toMs = (time: Timestamp | undefined) => (time === undefined ? undefined : timestampMs(time));
const ACCEPTED = ["accepted", "accepted"];
const REFUSED = ["API_KEY_INVALID", "API_KEY_INVALID"];

describe("a revoked API key", () => {
  test("is refused by every gateway as soon as the call has returned, and other keys are not", async () => {
    const [leaked, other] = [await create(), await create()];
    expect(await tryKey(leaked.secret)).toEqual(ACCEPTED);
    const { apiKey } = await keys.revokeApiKey({ id: leaked.id });
    expect(apiKey).toMatchObject({ id: leaked.id, revokeTime: expect.anything() });
    expect(await tryKey(leaked.secret)).toEqual(REFUSED);
    expect(await tryKey(other.secret)).toEqual(ACCEPTED);
  });

  test("keeps the time at which it was revoked first", async () => {
    const { id } = await create();
    const first = await keys.revokeApiKey({ id });
    expect((await keys.revokeApiKey({ id })).apiKey).toEqual(first.apiKey);
  });

  test("is refused for a call that began before, when its body comes more than half a second later", async () => {
    const { id, secret } = await create();
    const begin = async () => {
      const request = httpRequest(`${gateways[1]?.url}/easycron.v1.JobService/ListJobs`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "content-length": 2,
          authorization: `Bearer ${secret}`,
        },
      });
      const identified = new Promise<void>((resolve) => {
        onIdentified = resolve;
      });
      request.flushHeaders();
      await identified;
      return async () => {
        request.end("{}");
        const [response] = await once(request, "response");
        await text(response);
        return response.statusCode as number;
      };
    };
    const [finishSoon, finishLate] = [await begin(), await begin()];
    expect(await finishSoon()).toBe(200);
    await keys.revokeApiKey({ id });
    nowMs += 501;
    expect(await finishLate()).toBe(401);
  });

  test("of an unknown id is API_KEY_NOT_FOUND", async () => {
    expect(await refusalOf(keys.revokeApiKey({ id: "key_none" }))).toBe("API_KEY_NOT_FOUND");
  });
});

describe("a rotated API key", () => {
  test("is valid together with the new one until the overlap ends: a day by default", async () => {
    const old = await create("worker");
    const { apiKey, secret, oldApiKey } = await keys.rotateApiKey({ id: old.id });
    expect(apiKey).toMatchObject({ displayName: "worker" });
    expect(apiKey?.expireTime).toBeUndefined();
    expect(oldApiKey?.id).toBe(old.id);
    const overlapMs = (toMs(oldApiKey?.expireTime) ?? 0) - (toMs(apiKey?.createTime) ?? 0);
    expect(overlapMs).toBe(86_400_000);
    expect([await tryKey(old.secret), await tryKey(secret)]).toEqual([ACCEPTED, ACCEPTED]);
    await admin.query("update gateway.api_keys set expire_time = now() where id = $1", [old.id]);
    expect([await tryKey(old.secret), await tryKey(secret)]).toEqual([REFUSED, ACCEPTED]);
  });

  test("ends at once with an overlap of 0", async () => {
    const old = await create();
    const { secret } = await keys.rotateApiKey({ id: old.id, overlap: { seconds: 0n } });
    expect([await tryKey(old.secret), await tryKey(secret)]).toEqual([REFUSED, ACCEPTED]);
  });

  test("does not live longer when it is rotated again", async () => {
    const { id } = await create();
    const first = await keys.rotateApiKey({ id, overlap: { seconds: 60n } });
    const second = await keys.rotateApiKey({ id, overlap: { seconds: 604_800n } });
    expect(second.oldApiKey?.expireTime).toEqual(first.oldApiKey?.expireTime);
    const third = await keys.rotateApiKey({ id, overlap: { seconds: 0n } });
    expect(toMs(third.oldApiKey?.expireTime)).toBeLessThan(toMs(first.oldApiKey?.expireTime) ?? 0);
  });

  test.each([
    ["more than seven days", { seconds: 604_801n }],
    ["less than nothing", { seconds: -1n }],
  ])("cannot overlap for %s", async (_, overlap) => {
    const { id } = await create();
    expect(await refusalOf(keys.rotateApiKey({ id, overlap }))).toBe("FIELD_INVALID");
  });

  test("is refused once it has ended, and no key is created", async () => {
    const [revoked, expired] = [await create(), await create()];
    await keys.revokeApiKey({ id: revoked.id });
    await keys.rotateApiKey({ id: expired.id, overlap: { seconds: 0n } });
    const before = (await keys.listApiKeys({ project })).apiKeys.length;
    for (const { id } of [revoked, expired]) {
      expect(await refusalOf(keys.rotateApiKey({ id }))).toBe("API_KEY_ENDED");
    }
    expect(await refusalOf(keys.rotateApiKey({ id: "key_none" }))).toBe("API_KEY_NOT_FOUND");
    expect((await keys.listApiKeys({ project })).apiKeys).toHaveLength(before);
  });
});

describe("the list of a project's API keys", () => {
  test("shows each key with the beginning of its secret and its times, and never the secret", async () => {
    const [first, second] = [await create("first"), await create("second")];
    const rotated = await keys.rotateApiKey({ id: first.id });
    await keys.revokeApiKey({ id: second.id });
    const { apiKeys } = await keys.listApiKeys({ project });
    const shown = new Map(apiKeys.map((key) => [key.id, key]));
    expect(shown.size).toBe(3);
    expect(shown.get(first.id)).toMatchObject({
      displayName: "first",
      secretPrefix: first.secret.slice(0, 12),
      createTime: expect.anything(),
      expireTime: rotated.oldApiKey?.expireTime,
    });
    expect(shown.get(first.id)?.revokeTime).toBeUndefined();
    expect(shown.get(second.id)?.revokeTime).toBeDefined();
    expect(shown.get(rotated.apiKey?.id ?? "")).toMatchObject({ secretPrefix: rotated.secret.slice(0, 12) });
    const all = JSON.stringify(apiKeys, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    for (const { secret } of [first, second, rotated]) expect(all).not.toContain(secret.slice(0, 13));
  });

  test("comes in pages, newest first, and has no key of another project", async () => {
    const ids = [];
    for (const name of ["a", "b", "c"]) {
      ids.unshift((await create(name)).id);
      // Ids of one millisecond have no order.
      const madeMs = Date.now();
      while (Date.now() === madeMs) await new Promise(setImmediate);
    }
    const other = clientOf(ProjectService, 0, OPERATOR_KEY);
    const { project: theirs } = await other.createProject({ project: { displayName: "Other" } });
    await keys.createApiKey({ project: theirs?.id ?? "" });
    const first = await keys.listApiKeys({ project, pageSize: 2 });
    const last = await keys.listApiKeys({ project, pageSize: 2, pageToken: first.nextPageToken });
    expect([...first.apiKeys, ...last.apiKeys].map(({ id }) => id)).toEqual(ids);
    expect([first.apiKeys.length, last.nextPageToken]).toEqual([2, ""]);
    const foreign = keys.listApiKeys({ project: theirs?.id ?? "", pageToken: first.nextPageToken });
    expect(await refusalOf(foreign)).toBe("PAGE_TOKEN_INVALID");
  });

  test("is empty for a project without keys, and PROJECT_NOT_FOUND without the project", async () => {
    expect((await keys.listApiKeys({ project })).apiKeys).toEqual([]);
    expect(await refusalOf(keys.listApiKeys({ project: "proj_none" }))).toBe("PROJECT_NOT_FOUND");
  });

  test("is for the operator only, as are rotating and revoking", async () => {
    const { id, secret } = await create();
    const own = clientOf(ApiKeyService, 0, secret);
    const calls = [own.listApiKeys({ project }), own.rotateApiKey({ id }), own.revokeApiKey({ id })];
    expect(await Promise.all(calls.map(refusalOf))).toEqual(calls.map(() => "OPERATOR_KEY_REQUIRED"));
    expect(await tryKey(secret)).toEqual(ACCEPTED);
  });

  test("shows the last use of a key, which is written at most once in five minutes", async () => {
    const { id, secret } = await create();
    const readUse = async () => {
      await Promise.all(uses);
      const { apiKeys } = await keys.listApiKeys({ project });
      return toMs(apiKeys.find((key) => key.id === id)?.lastUseTime);
    };
    expect(await readUse()).toBeUndefined();
    await tryKey(secret);
    const first = await readUse();
    expect(first).toBeDefined();
    await tryKey(secret);
    expect(await readUse()).toBe(first);
    await admin.query(
      "update gateway.api_keys set last_use_time = now() - interval '6 minutes' where id = $1",
      [id],
    );
    await tryKey(secret);
    expect(await readUse()).toBeGreaterThanOrEqual(first ?? 0);
  });
});
