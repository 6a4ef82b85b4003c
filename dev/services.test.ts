import { describe, expect, test } from "vitest";
import { createKeys } from "./keys.ts";
import { environmentOf, placeServices, type ServiceSettings } from "./services.ts";

const keys = createKeys();
const logins = {
  gateway: "postgres://g:g-secret@127.0.0.1:5432/easycron",
  scheduler: "postgres://s:s-secret@127.0.0.1:5432/easycron",
  dispatcher: "postgres://d:d-secret@127.0.0.1:5432/easycron",
};
const none = { gateway: {}, scheduler: {}, dispatcher: {}, plugins: {} };

async function settingsFor(overrides: Partial<ServiceSettings["config"]> = {}): Promise<ServiceSettings> {
  const config = {
    egressAllow: "127.0.0.0/8",
    egressDeny: "",
    logLevel: "info",
    redisUrl: undefined,
    serviceEnv: none,
    ...overrides,
  } as const;
  const instances = await placeServices({ port: 8080, schedulers: 2, dispatchers: 2 });
  return { config, keys, instances, logins, pluginsEnv: {}, compileCache: "/data/compiled" };
}

/** Returns the environment of the first process of a service. */
function envOf(
  settings: ServiceSettings,
  service: string,
  own: NodeJS.ProcessEnv = {},
): Record<string, string> {
  const instance = settings.instances.find((each) => each.service === service);
  if (instance === undefined) throw new Error(`no ${service}`);
  return environmentOf(instance, settings, own);
}

describe("the processes of the services", () => {
  test("have different ports, and the gateway has the configured one", async () => {
    const instances = await placeServices({ port: 8080, schedulers: 2, dispatchers: 3 });
    expect(instances.map(({ service, index }) => `${service}-${index}`)).toEqual([
      "gateway-0",
      "scheduler-0",
      "scheduler-1",
      "dispatcher-0",
      "dispatcher-1",
      "dispatcher-2",
      "plugins-0",
    ]);
    expect(instances[0]?.port).toBe(8080);
    expect(new Set(instances.map(({ port }) => port)).size).toBe(7);
    const [free] = await placeServices({ port: 0, schedulers: 1, dispatchers: 1 });
    expect(free?.port).toBeGreaterThan(1_024);
  });

  test("get the addresses of the services they call, and the database under the login of their service", async () => {
    const settings = await settingsFor();
    const at = (service: string) =>
      settings.instances
        .flatMap((each) => (each.service === service ? [`127.0.0.1:${each.port}`] : []))
        .join(",");
    expect(envOf(settings, "gateway")).toMatchObject({
      EASYCRON_GATEWAY_LISTEN: "127.0.0.1:8080",
      EASYCRON_SCHEDULER_ADDRESSES: at("scheduler"),
      EASYCRON_DISPATCHER_ADDRESSES: at("dispatcher"),
      EASYCRON_PLUGINS_ADDRESSES: at("plugins"),
      EASYCRON_PARENT_WATCH: "1",
      EASYCRON_GATEWAY_API_KEYS: "test",
      DATABASE_URL: logins.gateway,
    });
    expect(envOf(settings, "scheduler")).toMatchObject({
      DATABASE_URL: logins.scheduler,
    });
    expect(envOf(settings, "dispatcher")).toMatchObject({
      DATABASE_URL: logins.dispatcher,
      EASYCRON_MASTER_KEY: keys.masterKey,
      EASYCRON_PLUGINS_ADDRESSES: at("plugins"),
    });
  });

  test("keep compiled modules in the data directory, unless NODE_COMPILE_CACHE names another folder", async () => {
    const settings = await settingsFor();
    const cacheOf = (own: NodeJS.ProcessEnv) => envOf(settings, "plugins", own).NODE_COMPILE_CACHE;
    expect(cacheOf({})).toBe("/data/compiled");
    expect(cacheOf({ NODE_COMPILE_CACHE: "/elsewhere" })).toBe("/elsewhere");
  });

  test("get the internal Redis if they are schedulers or dispatchers, and if there is one", async () => {
    const having = await settingsFor({ redisUrl: "redis://:internal-secret@127.0.0.1:6379" });
    const without = await settingsFor();
    for (const service of ["gateway", "scheduler", "dispatcher", "plugins"]) {
      const isUser = service === "scheduler" || service === "dispatcher";
      expect(envOf(having, service).REDIS_URL).toBe(isUser ? having.config.redisUrl : undefined);
      expect(envOf(without, service)).not.toHaveProperty("REDIS_URL");
    }
  });

  test("has the previous master key for the dispatcher only, while keys.json has one", async () => {
    const settings = await settingsFor();
    expect(envOf(settings, "dispatcher")).not.toHaveProperty("EASYCRON_PREVIOUS_MASTER_KEY");
    const previousMasterKey = createKeys().masterKey;
    const during = { ...settings, keys: { ...settings.keys, previousMasterKey } };
    for (const service of ["gateway", "scheduler", "dispatcher", "plugins"] as const) {
      const seen = envOf(during, service).EASYCRON_PREVIOUS_MASTER_KEY;
      expect(seen).toBe(service === "dispatcher" ? previousMasterKey : undefined);
    }
  });

  test("of the gateway has reflection, unless a user sets it off", async () => {
    expect(envOf(await settingsFor(), "gateway").EASYCRON_GATEWAY_REFLECTION).toBe("on");
    const gateway = { EASYCRON_GATEWAY_REFLECTION: "off" };
    const settings = await settingsFor({ serviceEnv: { ...none, gateway } });
    expect(envOf(settings, "gateway").EASYCRON_GATEWAY_REFLECTION).toBe("off");
  });

  test("of the data plane get no variable of the control plane, whatever npm start got", async () => {
    const own = {
      PATH: "/bin",
      DATABASE_URL: "postgres://admin:admin-secret@h/d",
      AWS_SECRET_ACCESS_KEY: "x",
    };
    const env = envOf(await settingsFor(), "plugins", own);
    expect(Object.keys(env).sort()).toEqual([
      "EASYCRON_LOG_LEVEL",
      "EASYCRON_PARENT_WATCH",
      "EASYCRON_PLUGINS_LISTEN",
      "NODE_COMPILE_CACHE",
      "PATH",
      "TZ",
    ]);
  });

  test("of the data plane alone get the administrators of the brokers", async () => {
    const pluginsEnv = { EASYCRON_PLUGINS_REDIS_URL: "redis://admin:redis-secret@127.0.0.1:6379" };
    const settings = { ...(await settingsFor()), pluginsEnv };
    expect(envOf(settings, "plugins")).toMatchObject(pluginsEnv);
    for (const service of ["gateway", "scheduler", "dispatcher"]) {
      expect(JSON.stringify(envOf(settings, service))).not.toContain("redis-secret");
    }
  });

  test("never get another service's login or the operator's key", async () => {
    const settings = await settingsFor();
    for (const service of ["gateway", "scheduler", "dispatcher", "plugins"]) {
      const text = JSON.stringify(envOf(settings, service));
      const others = ["gateway", "scheduler", "dispatcher"].filter((name) => name !== service);
      const secrets = others.map((name) => `${name[0]}-secret`);
      for (const secret of [...secrets, keys.operatorKey, keys.passwords.postgres]) {
        expect(text).not.toContain(secret);
      }
    }
  });

  test("get the variables of their own service only", async () => {
    const serviceEnv = { ...none, scheduler: { EASYCRON_SCHEDULER_TICK_MS: "100" } };
    const settings = await settingsFor({ serviceEnv });
    expect(envOf(settings, "scheduler")).toMatchObject({ EASYCRON_SCHEDULER_TICK_MS: "100" });
    expect(envOf(settings, "dispatcher")).not.toHaveProperty("EASYCRON_SCHEDULER_TICK_MS");
  });
});
