import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import pg from "pg";
import { build as buildGateway, type Overrides } from "../../gateway/app.ts";
import type { Service } from "../../mesh/lifecycle.ts";
import { build as buildPlugins } from "../../plugins/app.ts";
import { build as buildScheduler } from "../../scheduler/app.ts";
import { EasyCron } from "../../sdk/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const OPERATOR_KEY = "operator-of-the-tests";
const NOBODY = "127.0.0.1:1";

/** A project with a client that has its API key. */
export interface Tenant {
  readonly id: string;
  readonly easycron: EasyCron;
}

/** The gateway, the scheduler, the plugins service and a Redis, all real, on a database of their own. */
export interface Scene {
  readonly redis: TestRedis;
  readonly admin: Redis;
  readonly sql: pg.Client;
  readonly database: TestDatabase;
  readonly url: string;
  /** What a gateway in another process needs to run in this scene. */
  readonly gatewayEnv: Readonly<Record<string, string>>;
  /** What a plugins service in another process needs. */
  readonly pluginsEnv: Readonly<Record<string, string>>;
  createTenant(url?: string): Promise<Tenant>;
  /** Returns the client of a tenant at another gateway. */
  at(url: string, tenant: Tenant): EasyCron;
  /** The names of a project's users in Redis. */
  usersOf(projectId: string): Promise<string[]>;
  close(): Promise<void>;
}

/** How a scene differs. */
export interface SceneOptions {
  readonly overrides?: Overrides;
  /** Default: the scene starts a gateway and a plugins service. */
  readonly pluginsAddress?: string;
}

/** Starts a scene. */
export async function startScene({ overrides, pluginsAddress }: SceneOptions = {}): Promise<Scene> {
  const redis = await startTestRedis();
  const database = await createDatabase();
  const sql = new pg.Client({ connectionString: database.url() });
  await sql.connect();
  const pluginsEnv = {
    EASYCRON_PLUGINS_LISTEN: "127.0.0.1:0",
    EASYCRON_PLUGINS_REDIS_URL: redis.url,
    EASYCRON_LOG_LEVEL: "silent",
  };
  const services: Service[] = [];
  const start = async (building: Promise<Service>) => {
    const service = await building;
    services.push(service);
    return `127.0.0.1:${service.port}`;
  };
  const plugins = pluginsAddress ?? (await start(buildPlugins(pluginsEnv)));
  const scheduler = await start(
    buildScheduler({
      EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0",
      EASYCRON_DISPATCHER_ADDRESSES: NOBODY,
      EASYCRON_LOG_LEVEL: "silent",
      DATABASE_URL: database.url("scheduler"),
    }),
  );
  const gatewayEnv = {
    EASYCRON_GATEWAY_LISTEN: "127.0.0.1:0",
    DATABASE_URL: database.url("gateway"),
    EASYCRON_SCHEDULER_ADDRESSES: scheduler,
    EASYCRON_DISPATCHER_ADDRESSES: NOBODY,
    EASYCRON_PLUGINS_ADDRESSES: plugins,
    EASYCRON_OPERATOR_KEY_HASH: createHash("sha256").update(OPERATOR_KEY).digest("hex"),
    EASYCRON_LOG_LEVEL: "silent",
  };
  const url = `http://${await start(buildGateway(gatewayEnv, overrides))}`;
  const keys = new WeakMap<Tenant, string>();
  const admin = new Redis(redis.url, { retryStrategy: () => 50 });
  admin.on("error", () => {});
  return {
    redis,
    admin,
    sql,
    database,
    url,
    gatewayEnv,
    pluginsEnv,
    createTenant: async () => {
      const operator = new EasyCron({ url, apiKey: OPERATOR_KEY });
      const { id } = await operator.projects.create({ displayName: "tenant" });
      const { secret } = await operator.apiKeys.create({ project: id, apiKey: {} });
      const tenant = { id, easycron: new EasyCron({ url, apiKey: secret }) };
      keys.set(tenant, secret);
      return tenant;
    },
    at: (other, tenant) => new EasyCron({ url: other, apiKey: keys.get(tenant) ?? "", maxRetries: 0 }),
    usersOf: async (projectId) => {
      const users = (await admin.call("ACL", "USERS")) as string[];
      return users.filter((name) => name.startsWith(`${projectId}-`)).toSorted();
    },
    close: async () => {
      admin.disconnect();
      for (const service of services.reverse()) await service.close();
      await sql.end();
      await database.drop();
      await redis.stop();
    },
  };
}
