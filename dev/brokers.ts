import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { orAbort } from "../mesh/or-abort.ts";
import type { BrokerName } from "./arguments.ts";
import { whyNoKafka } from "./kafka-jars.ts";
import { startKafkaServer } from "./kafka-server.ts";
import type { BrokerKeys, Keys } from "./keys.ts";
import { openLogFile } from "./log-file.ts";
import { findFreePorts } from "./ports.ts";
import { findRedisServer, redisUrl, toRedisProgram } from "./redis-server.ts";
import { problemOf, StartError } from "./start-error.ts";
import { type ProgramEvent, type Supervised, supervise } from "./supervisor.ts";

/** A broker that customers of this installation use. It is restarted whenever it ends. */
export interface Broker {
  readonly name: BrokerName;
  readonly supervised: Supervised;
  /** The variables by which the plugins service finds it and manages it. They have the administrator's password. */
  readonly pluginsEnv: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** What starting a broker needs. */
export interface BrokerOptions {
  readonly dataDir: string;
  readonly keys: Keys;
  /** Prints one short line for the user. */
  readonly print: (line: string) => void;
  /** Keeps the port and the password of a broker for the next start. */
  readonly remember: (name: BrokerName, keys: BrokerKeys) => void;
  /** Called whenever a process starts, so its pid is new. */
  readonly onPids: () => void;
  readonly signal?: AbortSignal | undefined;
}

const STOP_GRACE_MS = 5_000;

/** Throws a StartError with exit code 2 when this machine lacks what the brokers need. It starts nothing. */
export function checkBrokers(names: readonly BrokerName[], dataDir: string): void {
  const problems = names.flatMap((name) => whyNot(name, dataDir) ?? []);
  if (problems.length > 0) throw new StartError(problems.join(" "), { exitCode: 2 });
}

function whyNot(name: BrokerName, dataDir: string): string | undefined {
  if (name === "kafka") return whyNoKafka(jarsFolderIn(dataDir));
  try {
    findRedisServer();
    return undefined;
  } catch (error) {
    return problemOf(error);
  }
}

// The jars are not in the folder of the data: they can be fetched again.
function jarsFolderIn(dataDir: string): string {
  return join(dataDir, "kafka-jars");
}

/** Starts a broker on its folder in the data directory, and waits until it serves. Throws a StartError. */
export async function startBroker(name: BrokerName, options: BrokerOptions): Promise<Broker> {
  const known = options.keys.brokers?.[name];
  const [port = 0] = await findFreePorts(1, known?.port);
  const own = { port, password: known?.password ?? randomBytes(24).toString("base64url") };
  // Before the first start: a broker keeps its first password.
  options.remember(name, own);
  const folder = join(options.dataDir, name);
  const log = openLogFile(join(options.dataDir, "log", `${name}.log`));
  const start = name === "redis" ? startRedis : startKafka;
  try {
    const broker = await start({ ...options, ...own, folder, onLine: log.write });
    options.print(`${TITLES[name]} for the plugin listens on 127.0.0.1:${port}; its data is in ${folder}`);
    const stop = () => broker.stop().finally(log.close);
    return { ...broker, stop };
  } catch (error) {
    log.close();
    throw error;
  }
}

const TITLES: Readonly<Record<BrokerName, string>> = { redis: "Redis", kafka: "Kafka" };

interface StartOptions extends BrokerOptions, BrokerKeys {
  readonly folder: string;
  readonly onLine: (line: string) => void;
}

async function startRedis(options: StartOptions): Promise<Broker> {
  const { folder, port, password: adminPassword, onLine, signal } = options;
  const lines: string[] = [];
  const program = toRedisProgram({
    folder,
    port,
    adminPassword,
    onLine: (line) => {
      lines.splice(0, lines.length, line);
      onLine(line);
    },
  });
  const supervised = supervise(program, toListener("redis", options));
  const stop = () => supervised.stop(STOP_GRACE_MS);
  try {
    await orAbort(supervised.untilReady(), signal);
  } catch (cause) {
    await stop();
    signal?.throwIfAborted();
    throw new StartError(`Redis cannot start on ${folder}: ${lines[0] ?? problemOf(cause)}`, { cause });
  }
  const pluginsEnv = { EASYCRON_PLUGINS_REDIS_URL: redisUrl({ adminPassword, port }) };
  return { name: "redis", supervised, pluginsEnv, stop };
}

async function startKafka(options: StartOptions): Promise<Broker> {
  const { dataDir, folder, port, password: adminPassword, onLine, print, signal } = options;
  const jarsFolder = jarsFolderIn(dataDir);
  if (!existsSync(jarsFolder))
    print("fetching Kafka's jars with Maven, about 45 MB; only the first start does this");
  const { brokers, username, password, supervised, stop } = await startKafkaServer({
    folder,
    jarsFolder,
    port,
    adminPassword,
    onLine,
    onEvent: toListener("kafka", options),
    ...(signal && { signal }),
  });
  const pluginsEnv = {
    EASYCRON_PLUGINS_KAFKA_BROKERS: brokers,
    EASYCRON_PLUGINS_KAFKA_USERNAME: username,
    EASYCRON_PLUGINS_KAFKA_PASSWORD: password,
  };
  return { name: "kafka", supervised, pluginsEnv, stop: () => stop(STOP_GRACE_MS) };
}

function toListener(name: BrokerName, { print, onPids }: BrokerOptions): (event: ProgramEvent) => void {
  return (event) => {
    if (event.kind === "started") onPids();
    if (event.kind !== "ended" || event.restartInMs === undefined) return;
    print(`${name} ${event.how}; restarting it in ${event.restartInMs} ms`);
  };
}
