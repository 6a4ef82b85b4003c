import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { migrate, SchemaMismatchError } from "../db/migrate.ts";
import { type ByRole, RoleError } from "../db/roles.ts";
import { orAbort } from "../mesh/or-abort.ts";
import { EasyCron } from "../sdk/index.ts";
import type { BrokerName } from "./arguments.ts";
import { type Broker, checkBrokers, startBroker } from "./brokers.ts";
import { type Config, SERVICES } from "./config.ts";
import { openDataDirectory } from "./data-directory.ts";
import { describeFirstCall, ensureDemoJob, ensureProject, pauseDemoJob } from "./demo.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { type BrokerKeys, createKeys, type DemoKeys, type Keys, readKeys, writeKeys } from "./keys.ts";
import { createLatenessReport } from "./lateness.ts";
import { acquireLock } from "./lock.ts";
import { openLogFile } from "./log-file.ts";
import { loginsOf, neededPasswords, ownLogins } from "./logins.ts";
import { type Manifest, removeManifest, writeManifest } from "./manifest.ts";
import { findFreePorts, whyTaken } from "./ports.ts";
import { ensureDatabase, type Postgres, startPostgres } from "./postgres.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { problemOf, StartError } from "./start-error.ts";
import type { Supervised } from "./supervisor.ts";
import { showTraces } from "./traces/show-traces.ts";

/** Options of `startProduct`. */
export interface ProductOptions {
  readonly config: Config;
  /** Prints one line for the user. */
  readonly print: (line: string) => void;
  /** Aborts the start; `startProduct` then stops what it has started and throws the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * False for throw-away data: it then survives the end of any process, but not a crash of the machine. Default true.
   */
  readonly durable?: boolean;
}

/** The product, running on this machine. */
export interface Product {
  /** Returns the present content of dev.json. */
  manifest(): Manifest;
  readonly operatorKey: string;
  /** The administrator's connection string. */
  readonly databaseUrl: string;
  readonly fleet: Fleet;
  /** The embedded PostgreSQL; undefined when DATABASE_URL names another one. */
  readonly postgres: Postgres | undefined;
  /** The brokers of `--with`. */
  readonly brokers: readonly Broker[];
  /** Stops everything within 15 s and keeps the data. */
  stop(): Promise<void>;
}

type Closers = (() => void | Promise<void>)[];

/**
 * Starts everything on this machine and writes dev.json when it serves. Throws a StartError with a message of one
 * line for the user. After a failure nothing is left running, and existing data is unchanged.
 */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const closers: Closers = [];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll(closers);
    return stopping;
  };
  try {
    return { ...(await start(options, closers)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

async function start(options: ProductOptions, closers: Closers): Promise<Omit<Product, "stop">> {
  const { config, print, signal } = options;
  const paths = pathsIn(config.dataDir);
  checkBrokers(config.brokers, config.dataDir);
  openDataDirectory(config.dataDir);
  const lock = acquireLock(config.dataDir);
  closers.push(lock.release);
  removeManifest(paths.manifest);
  await checkPort(config.port);
  let keys = openKeys(paths, config);
  const remember = (change: Partial<Keys>) => {
    keys = { ...keys, ...change };
    writeKeys(paths.keys, keys);
  };

  let publish = () => {};
  const onPids = () => publish();
  const brokers = await openBrokers(options, keys, remember, onPids, closers);
  const postgres = config.databaseUrl === undefined ? await openPostgres(options, keys, onPids) : undefined;
  if (postgres !== undefined) closers.push(() => postgres.stop(POSTGRES_GRACE_MS));
  const databaseUrl = postgres?.url(DATABASE) ?? config.databaseUrl ?? "";
  const logins = await migrateDatabase(config, databaseUrl, keys, postgres);
  if (postgres !== undefined) remember({ databaseUrl });
  signal?.throwIfAborted();

  print(`targets in ${config.egressAllow} may be called (EASYCRON_EGRESS_ALLOW)`);
  const pluginsEnv: Record<string, string> = {};
  for (const broker of brokers) Object.assign(pluginsEnv, broker.pluginsEnv);
  const folders = { logFolder: paths.log, compileCache: paths.compiled };
  const traced = config.showsTraces ? await showTraces(config, print, closers) : config;
  const fleet = await startFleet({
    ...options,
    config: traced,
    keys,
    logins,
    pluginsEnv,
    ...folders,
    onPids,
  });
  closers.push(() => fleet.stop());

  const demo = await orAbort(ensureProject(fleet.url, keys.operatorKey, keys.demo), signal);
  remember({ demo });
  const receiver =
    config.demo === "on"
      ? await orAbort(openDemo(fleet.url, demo, keys, remember, print, closers), signal)
      : undefined;

  const manifest = (): Manifest => ({ url: fleet.url, ...demo, pids: pidsOf(fleet, postgres, brokers) });
  closers.push(() => {
    publish = () => {};
    removeManifest(paths.manifest);
  });
  publish = () => writeManifest(paths.manifest, manifest());
  publish();
  print(`ready ${fleet.url}`);
  print(describeFolders(config, paths));
  if (receiver !== undefined) {
    for (const line of describeFirstCall(fleet.url, paths.manifest, receiver.url)) print(line);
  }
  return { manifest, operatorKey: keys.operatorKey, databaseUrl, fleet, postgres, brokers };
}

const DATABASE = "easycron";
const POSTGRES_GRACE_MS = 2_000;

interface Paths {
  readonly keys: string;
  readonly manifest: string;
  readonly log: string;
  readonly compiled: string;
  readonly postgres: string;
}

function pathsIn(dataDir: string): Paths {
  return {
    keys: join(dataDir, "keys.json"),
    manifest: join(dataDir, "dev.json"),
    log: join(dataDir, "log"),
    compiled: join(dataDir, "compiled"),
    postgres: join(dataDir, "postgres"),
  };
}

function describeFolders({ dataDir, databaseUrl }: Config, { log }: Paths): string {
  const data = databaseUrl === undefined ? "data" : "keys";
  return `${data} in ${dataDir}, logs in ${log}; Ctrl-C stops everything and keeps the data`;
}

async function checkPort(port: number): Promise<void> {
  if (port === 0) return;
  const code = await whyTaken(port);
  if (code === undefined) return;
  const remedy = "set EASYCRON_PORT to another port (0 means any free port).";
  if (code === "EADDRINUSE") {
    throw new StartError(
      `Port ${port} of 127.0.0.1 is in use: stop the program that listens there, or ${remedy}`,
    );
  }
  throw new StartError(`Port ${port} of 127.0.0.1 cannot be used (${code}): ${remedy}`);
}

function openKeys(paths: Paths, config: Config): Keys {
  const known = readKeys(paths.keys);
  if (known !== undefined) return known;
  const hasData =
    config.databaseUrl === undefined && existsSync(paths.postgres) && readdirSync(paths.postgres).length > 0;
  if (hasData) {
    throw new StartError(
      `${paths.keys} is missing, but the data in ${paths.postgres} needs it. Restore it from a backup, or move the data ` +
        "directory away to start with an empty one.",
    );
  }
  const keys = createKeys();
  writeKeys(paths.keys, keys);
  return keys;
}

/** Starts the brokers of `--with` one after the other. They stop after everything that is started later. */
async function openBrokers(
  options: ProductOptions,
  keys: Keys,
  remember: (change: Partial<Keys>) => void,
  onPids: () => void,
  closers: Closers,
): Promise<Broker[]> {
  const { config, print, signal } = options;
  const { dataDir } = config;
  const brokers: Broker[] = [];
  closers.push(async () => {
    await Promise.all(brokers.map((broker) => broker.stop()));
  });
  let known = keys.brokers;
  const rememberOne = (name: BrokerName, own: BrokerKeys) => {
    known = { ...known, [name]: own };
    remember({ brokers: known });
  };
  for (const name of config.brokers) {
    brokers.push(await startBroker(name, { dataDir, keys, print, signal, onPids, remember: rememberOne }));
  }
  return brokers;
}

async function openPostgres(options: ProductOptions, keys: Keys, onPids: () => void): Promise<Postgres> {
  const { config, print, signal, durable } = options;
  const folder = pathsIn(config.dataDir).postgres;
  const [port = 0] = await findFreePorts(1);
  const log = openLogFile(join(pathsIn(config.dataDir).log, "postgres.log"));
  const postgres = await startPostgres({
    folder,
    password: keys.passwords.postgres,
    port,
    onLine: log.write,
    onEvent: (event) => {
      if (event.kind === "started") onPids();
      if (event.kind !== "ended" || event.restartInMs === undefined) return;
      print(`postgres ${event.how}; restarting it in ${event.restartInMs} ms`);
    },
    ...(signal && { signal }),
    ...(durable !== undefined && { durable }),
  });
  print(`PostgreSQL listens on 127.0.0.1:${port}; its data is in ${folder}`);
  return postgres;
}

/** Migrates the database, and returns the connection string of each service. */
async function migrateDatabase(
  config: Config,
  databaseUrl: string,
  { passwords }: Keys,
  postgres: Postgres | undefined,
): Promise<ByRole<string>> {
  if (postgres !== undefined) await ensureDatabase(postgres, DATABASE);
  try {
    const { roles } = await migrate(databaseUrl, {
      rolePrefix: config.rolePrefix,
      rolePasswords: neededPasswords(config, passwords),
      resetsPasswords: config.resetRolePasswords === "on",
      logins: ownLogins(config),
    });
    return loginsOf(config, { databaseUrl, roles, passwords });
  } catch (cause) {
    if (cause instanceof SchemaMismatchError || cause instanceof RoleError)
      throw new StartError(cause.message, { cause });
    const where = postgres === undefined ? "The database of DATABASE_URL" : "The embedded database";
    throw new StartError(`${where} cannot be migrated: ${problemOf(cause)}`, { cause });
  }
}

async function openDemo(
  url: string,
  demo: DemoKeys,
  keys: Keys,
  remember: (change: Partial<Keys>) => void,
  print: (line: string) => void,
  closers: Closers,
): Promise<Receiver> {
  const [receiverPort = 0] = await findFreePorts(1, keys.receiverPort);
  const receiver = await startReceiver({
    port: receiverPort,
    secret: demo.signingSecret,
    onVerified: createLatenessReport(Date.now(), print),
    onRefused: (reason) => print(`refused a request to the demo receiver: ${reason}`),
  });
  closers.push(() => receiver.close());
  remember({ receiverPort });
  const client = new EasyCron({ url, apiKey: demo.apiKey });
  closers.push(() => pauseDemoJob(client));
  await ensureDemoJob(client, receiver.url);
  return receiver;
}

function pidsOf(fleet: Fleet, postgres: Postgres | undefined, brokers: readonly Broker[]): Manifest["pids"] {
  const entries: [string, readonly Supervised[]][] = [
    ...SERVICES.map((service): [string, readonly Supervised[]] => [service, fleet.of(service)]),
    ...brokers.map(({ name, supervised }): [string, readonly Supervised[]] => [name, [supervised]]),
  ];
  if (postgres !== undefined) entries.push(["postgres", [postgres.supervised]]);
  // While a process restarts, the list has its last pid, so that an index always means the same process.
  return Object.fromEntries(entries.map(([name, list]) => [name, list.map((one) => one.lastPid() ?? 0)]));
}
