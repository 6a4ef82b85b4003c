import { type ChildProcess, fork } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Config, ServiceName } from "./config.ts";
import { hashOperatorKey, type Keys } from "./keys.ts";
import { type LogFile, openLogFile, toNotice } from "./log-file.ts";
import { findFreePorts } from "./ports.ts";
import type { Program } from "./supervisor.ts";

const root = resolve(import.meta.dirname, "..");

/** One process of a service: what it runs as, and where it listens on the loopback address. */
export interface ServiceInstance {
  readonly service: ServiceName;
  readonly index: number;
  readonly port: number;
}

/** Gives every process a port that it keeps when it is started again. */
export async function placeServices(
  config: Pick<Config, "port" | "schedulers" | "dispatchers">,
): Promise<ServiceInstance[]> {
  const count = 2 + config.schedulers + config.dispatchers;
  const ports = await findFreePorts(count);
  const take = (service: ServiceName, processes: number): ServiceInstance[] =>
    Array.from({ length: processes }, (_, index) => ({ service, index, port: ports.pop() ?? 0 }));
  const [gateway] = take("gateway", 1);
  return [
    ...(gateway === undefined ? [] : [{ ...gateway, port: config.port === 0 ? gateway.port : config.port }]),
    ...take("scheduler", config.schedulers),
    ...take("dispatcher", config.dispatchers),
    ...take("plugins", 1),
  ];
}

/** What the services' environments are made of. */
export interface ServiceSettings {
  readonly config: Pick<Config, "egressAllow" | "logLevel" | "serviceEnv">;
  readonly keys: Keys;
  readonly instances: readonly ServiceInstance[];
  /** The administrator's connection string. */
  readonly databaseUrl: string;
}

// What a program needs of any environment; everything else, such as an administrator's DATABASE_URL, stays out.
const PASSED_ON = [
  "PATH",
  "HOME",
  "TMPDIR",
  "LANG",
  "LC_ALL",
  "NODE_ENV",
  "NODE_OPTIONS",
  "NODE_COMPILE_CACHE",
  "NODE_EXTRA_CA_CERTS",
];

/** The whole environment of one process. The data plane's has no secret of the control plane's. */
export function environmentOf(
  { service, port }: ServiceInstance,
  settings: ServiceSettings,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const { config, keys, instances } = settings;
  const addresses = (name: ServiceName) =>
    instances
      .filter((instance) => instance.service === name)
      .map((instance) => `127.0.0.1:${instance.port}`)
      .join(",");
  const listen = `127.0.0.1:${port}`;
  const databaseUrl = (role: "gateway" | "scheduler" | "dispatcher") =>
    withRole(settings.databaseUrl, `easycron_${role}`, keys.passwords[role]);
  const special: Readonly<Record<ServiceName, Record<string, string>>> = {
    gateway: {
      EASYCRON_GATEWAY_LISTEN: listen,
      DATABASE_URL: databaseUrl("gateway"),
      EASYCRON_SCHEDULER_ADDRESSES: addresses("scheduler"),
      EASYCRON_DISPATCHER_ADDRESSES: addresses("dispatcher"),
      EASYCRON_OPERATOR_KEY_HASH: hashOperatorKey(keys.operatorKey),
      EASYCRON_EGRESS_ALLOW: config.egressAllow,
    },
    scheduler: {
      EASYCRON_SCHEDULER_LISTEN: listen,
      DATABASE_URL: databaseUrl("scheduler"),
      EASYCRON_DISPATCHER_ADDRESSES: addresses("dispatcher"),
    },
    dispatcher: {
      EASYCRON_DISPATCHER_LISTEN: listen,
      DATABASE_URL: databaseUrl("dispatcher"),
      EASYCRON_MASTER_KEY: keys.masterKey,
      EASYCRON_PLUGINS_ADDRESSES: addresses("plugins"),
      EASYCRON_EGRESS_ALLOW: config.egressAllow,
    },
    plugins: { EASYCRON_PLUGINS_LISTEN: listen },
  };
  const passedOn = PASSED_ON.flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]]));
  return {
    ...(Object.fromEntries(passedOn) as Record<string, string>),
    TZ: "UTC",
    EASYCRON_PARENT_WATCH: "1",
    EASYCRON_LOG_LEVEL: config.logLevel,
    ...config.serviceEnv[service],
    ...special[service],
  };
}

/** A connection string under another role. */
export function withRole(databaseUrl: string, role: string, password: string): string {
  const url = new URL(databaseUrl);
  if (url.hostname === "") {
    // A socket is named in the parameters, and such a URL cannot hold a user elsewhere.
    url.searchParams.set("user", role);
    url.searchParams.set("password", password);
    return url.href;
  }
  url.username = role;
  url.password = password;
  return url.href;
}

/** How a service's process is run, and what becomes of what it writes. */
export interface ServiceOutput {
  /** Folder of the log files. */
  readonly logFolder: string;
  /** Shown to people: one short line. */
  readonly print: (line: string) => void;
}

/** A service's process as a program to be supervised, and the last line that it wrote to stderr. */
export interface ServiceProgram extends Program {
  lastWords(): string | undefined;
  closeLog(): void;
}

/** Makes the program of one process. It serves when it says so over the channel to us, and ends when that closes. */
export function createServiceProgram(
  instance: ServiceInstance,
  env: Readonly<Record<string, string>>,
  output: ServiceOutput,
): ServiceProgram {
  const name = `${instance.service}-${instance.index}`;
  const log = openLogFile(join(output.logFolder, `${name}.log`));
  let lastWords: string | undefined;
  return {
    name,
    start: () => {
      const child = fork(join(root, instance.service, "main.ts"), {
        cwd: root,
        env: { ...env },
        execArgv: [],
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // Ctrl-C is for the supervisor, which decides who ends when.
        detached: true,
      });
      watchLines(
        child,
        log,
        (line) => output.print(`${name} ${line}`),
        (line) => {
          lastWords = line;
        },
      );
      return child;
    },
    watchReady: (child, ready) => {
      child.on("message", (message) => {
        if (typeof message === "object" && message !== null && "ready" in message) ready();
      });
    },
    lastWords: () => lastWords,
    closeLog: () => log.close(),
  };
}

function watchLines(
  child: ChildProcess,
  log: LogFile,
  print: (notice: string) => void,
  onErrorLine: (line: string) => void,
): void {
  const watch = (line: string) => {
    log.write(line);
    const notice = toNotice(line);
    if (notice !== undefined) print(notice);
  };
  if (child.stdout !== null) createInterface(child.stdout).on("line", watch);
  if (child.stderr === null) return;
  createInterface(child.stderr).on("line", (line) => {
    watch(line);
    if (line.trim() !== "") onErrorLine(line);
  });
}
