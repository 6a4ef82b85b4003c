import { type ChildProcess, fork } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { ByRole } from "../db/roles.ts";
import { parseHostPort } from "../mesh/config.ts";
import type { Config, ServiceName } from "./config.ts";
import { hashOperatorKey, type Keys } from "./keys.ts";
import { type LogFile, openLogFile, toNotice } from "./log-file.ts";
import { findFreePorts } from "./ports.ts";
import type { Program } from "./supervisor.ts";

const root = resolve(import.meta.dirname, "..");

/** One process of a service, and the port on 127.0.0.1 on which it listens. */
export interface ServiceInstance {
  readonly service: ServiceName;
  readonly index: number;
  readonly port: number;
}

/** Assigns a free port to every process. A process keeps its port when it is restarted. */
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

/** The values from which `environmentOf` makes the environment of a process. */
export interface ServiceSettings {
  readonly config: Pick<Config, "egressAllow" | "egressDeny" | "logLevel" | "redisUrl" | "serviceEnv"> &
    Partial<Pick<Config, "publicUrl" | "metricsListen" | "metricsByProject" | "telemetryEnv">>;
  readonly keys: Keys;
  readonly instances: readonly ServiceInstance[];
  /** The connection string of each service. */
  readonly logins: ByRole<string>;
  /** The variables with which the plugins service finds the brokers that `npm start` runs, and no other process. */
  readonly pluginsEnv: Readonly<Record<string, string>>;
  /**
   * The folder in which Node keeps compiled modules, so that processes that start later need a quarter less CPU time for
   * their start. NODE_COMPILE_CACHE overrides it.
   */
  readonly compileCache: string;
}

// The variables that every program needs. A service inherits no others, such as an administrator's DATABASE_URL.
const INHERITED = [
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

/** Settings whose defaults are different here. A user may change them. */
const OWN_DEFAULTS: Readonly<Partial<Record<ServiceName, Record<string, string>>>> = {
  // Tools such as grpcurl then need no files of ours.
  gateway: { EASYCRON_GATEWAY_REFLECTION: "on" },
};

/** Returns the whole environment of one process. The plugins service gets no secret of the control plane. */
export function environmentOf(
  instance: ServiceInstance,
  settings: ServiceSettings,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const { config, keys, instances, logins, pluginsEnv, compileCache } = settings;
  const { service, port } = instance;
  const addresses = (name: ServiceName) =>
    instances
      .filter((instance) => instance.service === name)
      .map((instance) => `127.0.0.1:${instance.port}`)
      .join(",");
  const listen = `127.0.0.1:${port}`;
  const redis: Record<string, string> = config.redisUrl === undefined ? {} : { REDIS_URL: config.redisUrl };
  const publicUrl = config.publicUrl ?? `http://${addresses("gateway")}`;
  const special: Readonly<Record<ServiceName, Record<string, string>>> = {
    gateway: {
      EASYCRON_GATEWAY_LISTEN: listen,
      DATABASE_URL: logins.gateway,
      EASYCRON_SCHEDULER_ADDRESSES: addresses("scheduler"),
      EASYCRON_DISPATCHER_ADDRESSES: addresses("dispatcher"),
      EASYCRON_PLUGINS_ADDRESSES: addresses("plugins"),
      EASYCRON_OPERATOR_KEY_HASH: hashOperatorKey(keys.operatorKey),
      EASYCRON_GATEWAY_API_KEYS: "test",
      EASYCRON_EGRESS_ALLOW: config.egressAllow,
      EASYCRON_EGRESS_DENY: config.egressDeny,
    },
    scheduler: {
      EASYCRON_SCHEDULER_LISTEN: listen,
      DATABASE_URL: logins.scheduler,
      ...redis,
      EASYCRON_DISPATCHER_ADDRESSES: addresses("dispatcher"),
    },
    dispatcher: {
      EASYCRON_DISPATCHER_LISTEN: listen,
      DATABASE_URL: logins.dispatcher,
      ...redis,
      EASYCRON_MASTER_KEY: keys.masterKey,
      ...(keys.previousMasterKey === undefined
        ? {}
        : { EASYCRON_PREVIOUS_MASTER_KEY: keys.previousMasterKey }),
      EASYCRON_PLUGINS_ADDRESSES: addresses("plugins"),
      EASYCRON_EGRESS_ALLOW: config.egressAllow,
      EASYCRON_EGRESS_DENY: config.egressDeny,
      EASYCRON_PUBLIC_URL: publicUrl,
    },
    plugins: { EASYCRON_PLUGINS_LISTEN: listen, ...pluginsEnv },
  };
  // OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
  const telemetry = Object.keys(own).filter((name) => name.startsWith("OTEL_"));
  const inherited = [...INHERITED, ...telemetry].flatMap((name) =>
    own[name] === undefined ? [] : [[name, own[name]]],
  );
  return {
    NODE_COMPILE_CACHE: compileCache,
    ...(Object.fromEntries(inherited) as Record<string, string>),
    TZ: "UTC",
    EASYCRON_PARENT_WATCH: "1",
    EASYCRON_LOG_LEVEL: config.logLevel,
    ...metricsVariables(config, instances.indexOf(instance)),
    ...config.telemetryEnv,
    ...OWN_DEFAULTS[service],
    ...config.serviceEnv[service],
    ...special[service],
  };
}

/** Returns the variables of metrics of a process. Each process has the port after that of the one before. */
function metricsVariables(
  { metricsListen = "", metricsByProject = "off" }: ServiceSettings["config"],
  index: number,
): Record<string, string> {
  const { host, port } = parseHostPort(metricsListen) ?? {};
  if (host === undefined || port === undefined) return {};
  const address = `${host.includes(":") ? `[${host}]` : host}:${port === 0 ? 0 : port + index}`;
  return { EASYCRON_METRICS_LISTEN: address, EASYCRON_METRICS_BY_PROJECT: metricsByProject };
}

/**
 * Options of Node.js for a service. Node's default for new objects grows to three times 32 MiB or more, and stays there
 * after large requests. With 16 the gateway needs 100 MiB less after a load of batches, at the same CPU time.
 */
const NODE_OPTIONS_OF_SERVICES = ["--max-semi-space-size=16"];

/** Where the output of a service's process goes. */
export interface ServiceOutput {
  /** The folder of the log files. */
  readonly logFolder: string;
  /** Prints one short line for the user. */
  readonly print: (line: string) => void;
}

/** A service's process as a program to be supervised. */
export interface ServiceProgram extends Program {
  /** Returns the last line that it wrote to stderr. */
  lastErrorLine(): string | undefined;
  closeLog(): void;
}

/**
 * Creates the program of one process. The process reports over its IPC channel that it serves, and ends when that
 * channel closes.
 */
export function createServiceProgram(
  instance: ServiceInstance,
  env: Readonly<Record<string, string>>,
  output: ServiceOutput,
): ServiceProgram {
  const name = `${instance.service}-${instance.index}`;
  const log = openLogFile(join(output.logFolder, `${name}.log`));
  let lastErrorLine: string | undefined;
  return {
    name,
    start: () => {
      const child = fork(join(root, instance.service, "main.ts"), {
        cwd: root,
        env: { ...env },
        execArgv: [...NODE_OPTIONS_OF_SERVICES],
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // Ctrl-C must reach the supervisor only, which stops the services in order.
        detached: true,
      });
      watchLines(
        child,
        log,
        (line) => output.print(`${name} ${line}`),
        (line) => {
          lastErrorLine = line;
        },
      );
      return child;
    },
    watchReady: (child, ready) => {
      child.on("message", (message) => {
        if (typeof message === "object" && message !== null && "ready" in message) ready();
      });
    },
    lastErrorLine: () => lastErrorLine,
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
