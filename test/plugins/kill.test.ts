import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findFreePorts } from "../../dev/ports.ts";
import { redisStream } from "../../sdk/index.ts";
import { hasRedis } from "../support/redis.ts";
import { within } from "../support/within.ts";
import { type Forked, forkService } from "./forked.ts";
import { type Scene, startScene, type Tenant } from "./scene.ts";

/*
 * The gateway and the plugins service are killed with -9 at each step of each change of a plugin. Afterwards another
 * gateway, by its loop or by the repeated call, ends what was begun: the rows, the users of Redis and its data agree.
 */

const NEVER_DUE_MS = 0;
/** Within this time, each change comes to its step or has failed: its work may take 7 s. */
const STEPS_WITHIN_MS = 30_000;
/** The limit that an update asks for. */
const NEW_MAX_KEYS = 77;

let scene: Scene;
let plugins: Forked;
let startPlugins: () => Promise<Forked>;
/** What the gateway of this process takes for the time. With NEVER_DUE_MS its loop does nothing. */
let nowMs: number | null = null;

beforeAll(async () => {
  if (!hasRedis()) return;
  const [port = 0] = await findFreePorts(1);
  scene = await startScene({ overrides: { now: () => nowMs }, pluginsAddress: `127.0.0.1:${port}` });
  startPlugins = () =>
    forkService("plugins/main.ts", { ...scene.pluginsEnv, EASYCRON_PLUGINS_LISTEN: `127.0.0.1:${port}` });
  plugins = await startPlugins();
}, 60_000);
afterAll(async () => {
  await plugins?.kill9();
  await scene?.close();
}, 30_000);

type Change = (tenant: Tenant, url: string) => Promise<unknown>;

const CHANGES = {
  enable: (tenant, url) => scene.at(url, tenant).plugins.enable("REDIS"),
  rotate: (tenant, url) => scene.at(url, tenant).plugins.rotateCredentials("REDIS"),
  update: (tenant, url) =>
    scene.at(url, tenant).plugins.update("REDIS", { limits: { maxKeys: NEW_MAX_KEYS } }),
  disable: (tenant, url) => scene.at(url, tenant).plugins.disable("REDIS", { force: true, graceDays: 1 }),
  remove: (tenant, url) => scene.at(url, tenant).plugins.disable("REDIS", { force: true, graceDays: 0 }),
} as const satisfies Record<string, Change>;
type ChangeName = keyof typeof CHANGES;

/** Makes a tenant in the state in which a change begins: enabled, with a key and a job, unless it is to be enabled. */
async function prepare(change: ChangeName): Promise<Tenant> {
  nowMs = null;
  const tenant = await scene.createTenant();
  if (change === "enable") return tenant;
  const { credentials, plugin } = await tenant.easycron.plugins.enable("REDIS");
  const client = new Redis(credentials?.url ?? "", { enableReadyCheck: false });
  await client.set(`${plugin.prefix}app:x`, "1");
  client.disconnect();
  if (change === "disable" || change === "remove")
    await tenant.easycron.jobs.create({ name: "to-redis", target: redisStream("orders") });
  return tenant;
}

/** Makes the leases of the dead end. */
async function endLeases(): Promise<void> {
  await scene.sql.query("update gateway.plugins set lease_end = now() where lease_end is not null");
}

/** Waits until nothing is in between, and expects the rows and the broker to agree. */
async function expectSettled(change: ChangeName, tenant: Tenant): Promise<void> {
  const { easycron } = tenant;
  const isOff = change === "disable" || change === "remove";
  const settled = () => easycron.plugins.get("REDIS");
  await expect
    .poll(async () => (await settled()).state, { timeout: 20_000 })
    .toBe(isOff ? "DISABLED" : "ENABLED");
  const plugin = await settled();
  const usernames = plugin.credentials.map(({ username }) => username).toSorted();
  await expect.poll(() => scene.usersOf(tenant.id), { timeout: 20_000 }).toEqual(usernames);
  if (change === "rotate") {
    expect(usernames).toContain(`${tenant.id}-1`);
    // A rotation of which nobody has the password must not end the old credentials.
    if (usernames.length === 1) expect(plugin.credentials[0]?.expireTime).toBeUndefined();
  }
  if (change === "update") {
    expect(plugin.limits?.maxKeys).toBe(NEW_MAX_KEYS);
    const kept = () => scene.admin.hget(`easycron:project:${tenant.id}`, "max_keys");
    await expect.poll(kept, { timeout: 20_000 }).toBe(String(NEW_MAX_KEYS));
    expect(usernames).toEqual([`${tenant.id}-1`]);
  }
  if (isOff) {
    expect(usernames).toEqual([]);
    expect((await easycron.jobs.get("to-redis")).state).toBe("PAUSED");
  }
  const isGone = change === "remove" ? 0 : change === "enable" ? undefined : 1;
  if (isGone !== undefined)
    await expect.poll(() => scene.admin.exists(`${tenant.id}:app:x`), { timeout: 20_000 }).toBe(isGone);
}

/** After all, the plugin can be used: with the answer of a call, or after a rotation. */
async function expectUsable({ easycron }: Tenant): Promise<void> {
  const enabled = await easycron.plugins.enable("REDIS");
  const { url } = enabled.credentials ?? (await easycron.plugins.rotateCredentials("REDIS")).credentials;
  const client = new Redis(url, { enableReadyCheck: false });
  await client.set(`${enabled.plugin.prefix}app:y`, "1");
  client.disconnect();
}

const GATEWAY_STEPS: readonly (readonly [ChangeName, string])[] = [
  ["enable", "enable: row written"],
  ["enable", "enable: provisioned"],
  ["enable", "enable: finished"],
  ["rotate", "rotate: row written"],
  ["rotate", "rotate: provisioned"],
  ["rotate", "rotate: finished"],
  ["update", "update: row written"],
  ["update", "update: provisioned"],
  ["disable", "disable: row written"],
  ["disable", "disable: jobs paused"],
  ["disable", "disable: cut off"],
  ["disable", "disable: provisioned"],
  ["disable", "disable: finished"],
  ["remove", "remove: removed"],
  ["remove", "remove: finished"],
];

const REPEATED = ["enable", "enable: provisioned"] as const;

describe.skipIf(!hasRedis())("after kill -9 of a gateway while changes are at all steps", () => {
  let tenants: Tenant[] = [];
  let repeated: Awaited<ReturnType<Tenant["easycron"]["plugins"]["enable"]>>;

  beforeAll(async () => {
    await killAtAllSteps();
    await endLeases();
    const last = tenants.at(-1);
    if (last !== undefined) repeated = await last.easycron.plugins.enable("REDIS");
    nowMs = null;
  }, 120_000);

  /**
   * Begins all changes at one gateway, which ends when each has come to its step. The work on a plugin has 7 s. On a machine
   * so busy that this is too short for one, it begins again with new tenants. It throws if it is too short again.
   */
  async function killAtAllSteps(triesLeft = 1): Promise<void> {
    const changes = [...GATEWAY_STEPS, REPEATED];
    tenants = [];
    // Four at once: all at once are too much for the database of a busy machine.
    for (let from = 0; from < changes.length; from += 4) {
      tenants.push(...(await Promise.all(changes.slice(from, from + 4).map(([change]) => prepare(change)))));
    }
    nowMs = NEVER_DUE_MS;
    const holdAt = Object.fromEntries(changes.map(([, step], index) => [tenants[index]?.id, step]));
    const gateway = await forkService("test/plugins/killed-gateway.ts", {
      ...scene.gatewayEnv,
      HOLD_AT: JSON.stringify(holdAt),
    });
    const held = new Set<string | undefined>();
    gateway.child.on("message", (message: { readonly held?: string }) => held.add(message.held));
    const calls = changes.map(async ([change], index) => {
      const tenant = tenants[index];
      if (tenant !== undefined) await CHANGES[change](tenant, `http://${gateway.address}`);
    });
    const called = Promise.allSettled(calls);
    const missing = () =>
      changes.flatMap(([, step], index) => (held.has(tenants[index]?.id) ? [] : [step])).join(", ");
    try {
      const words = () =>
        `The gateway has not come to these steps within ${STEPS_WITHIN_MS / 1_000} s: ${missing()}.`;
      expect(await within(gateway.ended, STEPS_WITHIN_MS, words)).toBe("SIGKILL");
    } catch (error) {
      await gateway.kill9();
      if (triesLeft === 0) throw error;
      console.warn(`${error instanceof Error ? error.message : error} The preparation begins again.`);
      await killAtAllSteps(triesLeft - 1);
      return;
    }
    // The call of a plugin that is removed was answered before.
    const expected = changes.map(([change]) => (change === "remove" ? "fulfilled" : "rejected"));
    expect((await called).map(({ status }) => status)).toEqual(expected);
  }

  test.each(GATEWAY_STEPS.map(([change, step], index) => ({ change, step, index })))(
    "during $change, at $step, the loop of another one ends what was begun",
    async ({ change, index }) => {
      const tenant = tenants[index];
      expect.assert(tenant !== undefined);
      await expectSettled(change, tenant);
      await expectUsable(tenant);
    },
    60_000,
  );

  test("a repeated EnablePlugin ends what was begun, and has the password", async () => {
    const id = tenants.at(-1)?.id ?? "";
    const { credentials, plugin } = repeated;
    expect(await scene.usersOf(id)).toEqual([`${id}-2`]);
    const client = new Redis(credentials?.url ?? "", { enableReadyCheck: false });
    expect(await client.set(`${plugin.prefix}app:y`, "1")).toBe("OK");
    client.disconnect();
  });
});

/** A change, and the command in Redis after which the plugins service is killed. */
const PLUGINS_STEPS: readonly (readonly [ChangeName, string])[] = [
  ["enable", "exec"],
  ["enable", "multi"],
  ["rotate", "exec"],
  ["update", "exec"],
  ["disable", "exec"],
  ["remove", "scan"],
  ["remove", "unlink"],
];

/** ioredis fails when a command of somebody else is told in the same packet as the answer to MONITOR. Then it is tried again. */
async function openMonitor(triesLeft = 10): Promise<Redis> {
  try {
    return await scene.admin.monitor();
  } catch (error) {
    if (triesLeft === 0) throw error;
    return await openMonitor(triesLeft - 1);
  }
}

describe.skipIf(!hasRedis())("after kill -9 of the plugins service", () => {
  test.each(PLUGINS_STEPS)(
    "during %s, at its command %j, the loop ends what was begun once it is back",
    async (change, command) => {
      const tenant = await prepare(change);
      const monitor = await openMonitor();
      const killed = new Promise<void>((resolve) => {
        monitor.on("monitor", (_time: string, args: readonly string[]) => {
          const words = args.slice(0, 2).map((word) => word.toLowerCase());
          if (!words.includes(command)) return;
          monitor.disconnect();
          plugins.child.kill("SIGKILL");
          resolve();
        });
      });
      const called = CHANGES[change](tenant, scene.url).catch((error: unknown) => error);
      await within(killed, 30_000, () => `Redis has not got the command ${command} within 30 s.`);
      await plugins.ended;
      await called;
      plugins = await startPlugins();
      await expectSettled(change, tenant);
      await expectUsable(tenant);
    },
    60_000,
  );
});
