import { createSecretKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import pg from "pg";
import type {
  AcceptResponse,
  TriggerEvent,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { createGrpcClient, type GrpcClient } from "../../mesh/grpc-client.ts";
import type { Service } from "../../mesh/lifecycle.ts";
import { pause } from "../../mesh/pause.ts";
import { createDatabase } from "../../test/support/database.ts";
import { expectAgreement, SYNC_LIVE_TRIGGERS, writesTriggers } from "../../test/support/live-triggers.ts";
import { build, type Overrides } from "../app.ts";
import { createEvents, type Events } from "../events/events.ts";
import { attemptListByTrigger } from "../reading/reads.sql.ts";
import { wrapDataKey } from "../signing-keys/data-keys.ts";
import { createMasterKeys } from "../signing-keys/master-keys.ts";
import { sealSecret } from "../signing-keys/signing-secret.ts";

/** An event as a scheduler writes it. */
export type EventInit = Omit<TriggerEvent, "$typeName" | "$unknown">;

/** A job that stands in the database without a scheduler. */
export interface TestJob {
  readonly uid: string;
  readonly name: string;
  readonly projectId: string;
}

/** A running dispatcher with a client of it. */
export interface TestDispatcher {
  readonly service: Service;
  readonly events: Events;
  readonly client: GrpcClient<typeof DispatcherService>;
  /** Sends a batch over a stream of its own and returns the answer. The deadline is in epoch milliseconds; 0 is none. */
  accept(events: readonly EventInit[], deadlineMs?: bigint): Promise<AcceptResponse>;
  stop(hurry?: AbortSignal): Promise<void>;
}

/** A database of a test file's own, with what dispatchers need of it. */
export interface Ground {
  /** Runs SQL as the administrator. What it writes to dispatcher.triggers is in dispatcher.live_triggers, too. */
  // biome-ignore lint/suspicious/noExplicitAny: rows of any statement, looked into by assertions.
  sql(text: string, values?: readonly unknown[]): Promise<any[]>;
  /** Lists the ended attempts of a trigger, as customers see them, times as Dates. */
  // biome-ignore lint/suspicious/noExplicitAny: rows that assertions look into.
  attemptsOf(triggerId: string): Promise<any[]>;
  /** Does something while another transaction has run a statement, such as one that locks a row. */
  whileHeld<T>(text: string, values: readonly unknown[], work: () => Promise<T>): Promise<T>;
  /** Like `whileHeld`, and then commits. */
  whileCommitted<T>(text: string, values: readonly unknown[], work: () => Promise<T>): Promise<T>;
  /** Lists the pools of dispatchers in which this statement was the last one of a connection. */
  poolsOf(statement: { readonly text: string }): Promise<string[]>;
  /** Resolves when a session waits for a lock. */
  untilWaiting(): Promise<void>;
  /** The administrator's connection string, and that of the dispatcher's role. */
  readonly adminUrl: string;
  readonly databaseUrl: string;
  /** A project with one signing key, whose secret is returned. */
  addProject(): Promise<{ projectId: string; secret: string }>;
  /** A job of a specification, which is not checked; its target is a webhook at `url` unless it says otherwise. */
  addJob(projectId: string, url: string, spec?: object): Promise<TestJob>;
  start(env?: NodeJS.ProcessEnv, overrides?: Overrides): Promise<TestDispatcher>;
  /**
   * Stops every dispatcher and removes the database. Throws if dispatcher.live_triggers does not have exactly the triggers
   * that have not ended.
   */
  end(): Promise<void>;
}

/** The master key of the dispatchers here. */
export const MASTER_KEY = Buffer.alloc(32, 7);
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new id of a kind; test data only. */
export function randomId(prefix: string): string {
  return `${prefix}_${Array.from(randomBytes(26), (byte) => ALPHABET[byte & 31]).join("")}`;
}

/** An event of a job at an instant. */
export function eventOf(job: TestJob, atMs: number, change: Partial<EventInit> = {}): EventInit {
  return {
    triggerId: randomId("trg"),
    projectId: job.projectId,
    jobUid: job.uid,
    jobName: job.name,
    revision: 1,
    epoch: 1,
    kind: TriggerKind.SCHEDULED,
    nominalTimeMs: BigInt(atMs),
    effectiveTimeMs: BigInt(atMs),
    seq: 1,
    previousSkipped: 0,
    previousMissed: 0,
    zoneDataVersion: "2026a",
    ...change,
  };
}

/** Makes a migrated database. */
export async function createGround(): Promise<Ground> {
  const database = await createDatabase();
  const admin = new pg.Pool({ connectionString: database.url(), max: 4 });
  admin.on("error", () => {});
  const running: TestDispatcher[] = [];
  const ground: Ground = {
    sql: async (text, values = []) =>
      writesTriggers(text) ? writeTriggers(admin, text, values) : (await admin.query(text, [...values])).rows,
    attemptsOf: async (id) => {
      const { rows } = await admin.query("select fire_time from dispatcher.triggers where id = $1", [id]);
      return (await admin.query(attemptListByTrigger.text, [id, rows[0]?.fire_time])).rows;
    },
    whileHeld: (text, values, work) => inTransaction(admin, { text, values, end: "rollback" }, work),
    whileCommitted: (text, values, work) => inTransaction(admin, { text, values, end: "commit" }, work),
    poolsOf: async ({ text }) => {
      const read =
        "select distinct application_name from pg_stat_activity where datname = current_database() and query = $1";
      return (await admin.query(read, [text])).rows.map(({ application_name }) => application_name);
    },
    untilWaiting: async () => {
      const read =
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      while ((await admin.query(read)).rowCount === 0) await pause(5);
    },
    adminUrl: database.url(),
    databaseUrl: database.url("dispatcher"),
    addProject: async () => {
      const projectId = randomId("proj");
      const id = randomId("sk");
      const { wanted } = createMasterKeys(MASTER_KEY);
      const [secret, dataKey] = [randomBytes(32), randomBytes(32)];
      const owner = { projectId, id, algorithm: "HMAC_SHA256" } as const;
      await admin.query(
        "insert into dispatcher.signing_keys (id, project_id, algorithm, sealed_secret, create_time) values ($1, $2, 'HMAC_SHA256', $3, now())",
        [id, projectId, sealSecret(createSecretKey(dataKey), owner, secret)],
      );
      await admin.query(
        `with raised as (update dispatcher.signing_keys_version set version = version + 1 returning version)
         insert into dispatcher.data_keys select $1, $2, $3, version, now() from raised`,
        [projectId, wanted.id, wrapDataKey(wanted, projectId, dataKey)],
      );
      return { projectId, secret: `whsec_${secret.toString("base64")}` };
    },
    addJob: async (projectId, url, spec = {}) => {
      const uid = randomId("job");
      const name = `job-${uid.slice(-8)}`;
      await admin.query(
        `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, create_time, update_time)
         values ($1, $2, $3, 'ACTIVE', 1, 1, now(), now())`,
        [uid, projectId, name],
      );
      const full = { name, target: { webhook: { url, method: "POST" } }, attemptTimeout: "30s", ...spec };
      await admin.query(
        "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, 1, $2, now(), $3)",
        [uid, JSON.stringify(full), "alerts" in spec ? { alerts: { withinMs: null } } : {}],
      );
      return { uid, name, projectId };
    },
    start: async (env = {}, overrides = {}) => {
      const started = await startDispatcher({ DATABASE_URL: ground.databaseUrl, ...env }, overrides);
      running.push(started);
      return started;
    },
    end: async () => {
      await Promise.all(running.map((each) => each.stop()));
      await expectAgreement(admin).finally(async () => {
        await admin.end();
        await database.drop();
      });
    },
  };
  return ground;
}

async function inTransaction<T>(
  admin: pg.Pool,
  { text, values, end }: { text: string; values: readonly unknown[]; end: "commit" | "rollback" },
  work: () => Promise<T>,
): Promise<T> {
  const client = await admin.connect();
  try {
    await client.query("begin");
    await client.query(text, [...values]);
    return await work();
  } finally {
    await client.query(end);
    client.release();
  }
}

async function writeTriggers(admin: pg.Pool, text: string, values: readonly unknown[]) {
  const client = await admin.connect();
  try {
    // What the product has left wrong would be repaired below, and nobody would see it.
    await expectAgreement(client);
    await client.query("begin");
    const { rows } = await client.query(text, [...values]);
    await client.query(SYNC_LIVE_TRIGGERS);
    await client.query("commit");
    return rows;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

async function startDispatcher(env: NodeJS.ProcessEnv, overrides: Overrides): Promise<TestDispatcher> {
  const events = overrides.events ?? createEvents();
  const service = await build(
    {
      EASYCRON_DISPATCHER_LISTEN: "127.0.0.1:0",
      EASYCRON_MASTER_KEY: MASTER_KEY.toString("base64"),
      EASYCRON_PLUGINS_ADDRESSES: "127.0.0.1:1",
      EASYCRON_EGRESS_ALLOW: "127.0.0.0/8",
      EASYCRON_LOG_LEVEL: "silent",
      ...env,
    },
    { ...overrides, events },
  );
  const client = createGrpcClient(DispatcherService, {
    addresses: [`127.0.0.1:${service.port}`],
    deadlineMs: 30_000,
  });
  let stopped: Promise<void> | undefined;
  return {
    service,
    events,
    client,
    accept: (batch, deadlineMs = 0n) => acceptOnce(client, batch, deadlineMs),
    stop: (hurry) => {
      stopped ??= (async () => {
        client.close();
        await service.close(hurry);
      })();
      return stopped;
    },
  };
}

async function acceptOnce(
  client: GrpcClient<typeof DispatcherService>,
  events: readonly EventInit[],
  deadlineMs: bigint,
): Promise<AcceptResponse> {
  const stream = client.accept();
  await stream.send({ batchId: 1n, events: [...events], deadlineMs });
  stream.end();
  for await (const answer of stream.responses) return answer;
  throw new Error("The stream ended without an answer.");
}

/** Resolves when `count` items have been told by an event, each of which tells `countOf` of them. */
export function untilCounted<
  E extends "accepted" | "claimed" | "attempt" | "recorded" | "taken" | "released",
>(
  events: Events,
  event: E,
  countOf: (...values: Parameters<Parameters<typeof events.on<E>>[1]>) => number,
  count: number,
): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    const listen = (...values: unknown[]) => {
      seen += countOf(...(values as never));
      if (seen < count) return;
      events.off(event, listen as never);
      resolve();
    };
    events.on(event, listen as never);
  });
}

/** Resolves when as many results of each of the events' triggers are durable. */
export function untilRecorded(events: Events, of: readonly EventInit[], attempts = 1): Promise<void> {
  const ids = new Set(of.map(({ triggerId }) => triggerId));
  const countOf = ({ triggerIds }: { readonly triggerIds: readonly string[] }) =>
    triggerIds.filter((id) => ids.has(id)).length;
  return untilCounted(events, "recorded", countOf, ids.size * attempts);
}

/** Resolves at the next event of a name. */
export async function untilEvent(
  events: Events,
  event: "idle" | "leased" | "leaseLost" | "trouble",
): Promise<void> {
  await once(events, event);
}
