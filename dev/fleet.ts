import type { ByRole } from "../db/roles.ts";
import { orAbort } from "../mesh/or-abort.ts";
import type { Config, ServiceName } from "./config.ts";
import type { Keys } from "./keys.ts";
import {
  createServiceProgram,
  environmentOf,
  placeServices,
  type ServiceInstance,
  type ServiceProgram,
} from "./services.ts";
import { StartError } from "./start-error.ts";
import { type ProgramEvent, ProgramFailedError, type Supervised, supervise } from "./supervisor.ts";

/** All supervised processes of the services. */
export interface Fleet {
  /** The gateway's URL. */
  readonly url: string;
  /** The processes of a service, by index. */
  of(service: ServiceName): readonly Supervised[];
  /** Stops the gateway and the schedulers, then the dispatchers and plugins. Takes at most 7 s. */
  stop(): Promise<void>;
}

/** Options of `startFleet`. */
export interface FleetOptions {
  readonly config: Config;
  readonly keys: Keys;
  /** The connection string of each service. */
  readonly logins: ByRole<string>;
  /** The variables of the brokers for the plugins service. */
  readonly pluginsEnv: Readonly<Record<string, string>>;
  readonly logFolder: string;
  /** The folder in which Node keeps compiled modules. */
  readonly compileCache: string;
  /** Prints one short line for the user. */
  readonly print: (line: string) => void;
  /** Called whenever a process starts, so its pid is new. */
  readonly onPids: () => void;
  readonly signal?: AbortSignal;
}

interface Member {
  readonly instance: ServiceInstance;
  readonly program: ServiceProgram;
  readonly supervised: Supervised;
}

// Services that make work stop first, then those that do it.
const WAVES: readonly (readonly ServiceName[])[] = [
  ["gateway", "scheduler"],
  ["dispatcher", "plugins"],
];
/** A person waits for the end, so a service may not wait as long for slow endpoints as it does elsewhere. */
const WAVE_HURRY_MS = 2_000;
const WAVE_GRACE_MS = 3_500;

/**
 * Starts every process and waits until each serves. When one fails to, it stops all and throws a StartError; when the
 * signal is aborted, it stops all and throws the signal's reason.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const instances = await placeServices(options.config);
  const members = instances.map((instance) => startMember(instance, instances, options));
  const of = (service: ServiceName) =>
    members.filter(({ instance }) => instance.service === service).map(({ supervised }) => supervised);
  const stop = async () => {
    for (const wave of WAVES) {
      await Promise.all(wave.flatMap(of).map((supervised) => supervised.stop(WAVE_GRACE_MS, WAVE_HURRY_MS)));
    }
    for (const { program } of members) program.closeLog();
  };
  try {
    await orAbort(Promise.all(members.map(untilReady)), options.signal);
  } catch (error) {
    await stop();
    throw error;
  }
  const gateway = instances.find(({ service }) => service === "gateway");
  return { url: `http://127.0.0.1:${gateway?.port}`, of, stop };
}

function startMember(
  instance: ServiceInstance,
  instances: readonly ServiceInstance[],
  options: FleetOptions,
): Member {
  const env = environmentOf(instance, { ...options, instances });
  const program = createServiceProgram(instance, env, options);
  const supervised = supervise(program, (event) => {
    if (event.kind === "started") options.onPids();
    const line = describe(program, event);
    if (line !== undefined) options.print(line);
  });
  return { instance, program, supervised };
}

function describe(program: ServiceProgram, event: ProgramEvent): string | undefined {
  if (event.kind !== "ended" || event.restartInMs === undefined) return undefined;
  const line = program.lastErrorLine();
  const reason = event.exitCode === null || line === undefined ? "" : ` (${line})`;
  return `${program.name} ${event.how}${reason}; restarting it in ${event.restartInMs} ms`;
}

async function untilReady({ program, supervised }: Member): Promise<void> {
  try {
    await supervised.untilReady();
  } catch (cause) {
    if (!(cause instanceof ProgramFailedError)) throw cause;
    const line = program.lastErrorLine();
    const exitCode = cause.exitCode === 2 ? 2 : 1;
    throw new StartError(`${cause.message}${line === undefined ? "." : `: ${line}`}`, { cause, exitCode });
  }
}
