import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { orAbort } from "../mesh/or-abort.ts";
import { planArchive } from "./kafka-archive.ts";
import { JAVA_OPTIONS, prepareKafkaFolder } from "./kafka-folder.ts";
import { ensureJars } from "./kafka-jars.ts";
import { stopLeftOverProcesses } from "./left-over.ts";
import { findFreePorts } from "./ports.ts";
import { StartError } from "./start-error.ts";
import { stopWhenWeDie } from "./stop-when-we-die.ts";
import { type Program, type ProgramEvent, type Supervised, supervise } from "./supervisor.ts";

/** Options of `startKafkaServer`. */
export interface KafkaServerOptions {
  /** The folder of its data, created if it does not exist. One server at a time may use it. */
  readonly folder: string;
  /** The folder of Kafka's jars, filled if it does not have them. Servers may share it. */
  readonly jarsFolder: string;
  /** The port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /**
   * The password of the administrator "admin": 8 to 128 letters, digits, `_` or `-`. A folder keeps the password of its
   * first start.
   */
  readonly adminPassword: string;
  /**
   * Whether the first server that stops also writes its loaded classes to the jars' folder, which takes about 5 s. The
   * servers that start later are then ready in half the time. Default false.
   */
  readonly archivesClasses?: boolean;
  /** Called with each line that the server writes. */
  readonly onLine?: (line: string) => void;
  /** Called when the server's process starts, is ready, or ends. */
  readonly onEvent?: (event: ProgramEvent) => void;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
}

/** A running Kafka. It is restarted whenever it ends. */
export interface KafkaServer {
  /** The bootstrap servers: host:port. Clients log in by SASL with SCRAM-SHA-512, without TLS. */
  readonly brokers: string;
  /** The administrator's. */
  readonly username: string;
  /** The administrator's. */
  readonly password: string;
  readonly supervised: Supervised;
  /** The pid of the running process; undefined while none runs. */
  readonly pid: number | undefined;
  /**
   * Kills the server with -9; resolves when it is gone. It is started again at once, on the same port and data.
   * `supervised.untilReady()` resolves when it answers again.
   */
  kill9(): Promise<void>;
  /** Shuts the server down. Kills it if it does not end within `graceMs` (default 15,000). */
  stop(graceMs?: number): Promise<void>;
}

const USERNAME = "admin";
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Starts a Kafka of one node on its folder, with SCRAM and access rights switched on, and waits until it answers an
 * administrator who has logged in. Before that, it stops the server that a killed supervisor left running on the folder.
 * The first start fetches the jars (see `ensureJars`). Throws a StartError when Java or Maven is missing, or when the
 * server does not start.
 */
export async function startKafkaServer(options: KafkaServerOptions): Promise<KafkaServer> {
  const { folder, adminPassword } = options;
  const classPath = await ensureJars(options.jarsFolder, options.signal);
  const marker = markerOf(folder);
  await stopLeftOverProcesses("Kafka", folder, marker);
  const [port = 0, controllerPort = 0] = await findFreePorts(2, options.port);
  if (options.port !== undefined && options.port !== port) {
    throw new StartError(`Kafka cannot use port ${options.port}: it is taken. Choose another one.`);
  }
  const config = await prepareKafkaFolder({ folder, classPath, adminPassword, port, controllerPort });
  const brokers = `127.0.0.1:${port}`;
  const lines: string[] = [];
  const archive = planArchive(options.jarsFolder, options.archivesClasses ?? false);
  const flags = [...JAVA_OPTIONS, ...SERVER_OPTIONS, ...archive.flags, `-Deasycron.kafka=${marker}`];
  const program = toProgram({
    command: [...flags, "-cp", classPath, "kafka.Kafka", config],
    folder,
    answers: () => isAnswering(brokers, adminPassword),
    onLine: (line) => {
      if (lines.length < 1_000) lines.push(line);
      options.onLine?.(line);
    },
  });
  const supervised = supervise(program, options.onEvent);
  try {
    await orAbort(supervised.untilReady(), options.signal);
  } catch (cause) {
    await supervised.stop(0);
    options.signal?.throwIfAborted();
    throw new StartError(`Kafka cannot start on ${folder}: ${toProblem(lines)}`, { cause });
  }
  return {
    brokers,
    username: USERNAME,
    password: adminPassword,
    supervised,
    get pid() {
      return supervised.pid();
    },
    kill9: async () => {
      await supervised.untilReady();
      const ended = supervised.untilEnded();
      process.kill(supervised.pid() ?? 0, "SIGKILL");
      await ended;
    },
    stop: async (graceMs = 15_000) => {
      await supervised.stop(graceMs);
      archive.keep();
    },
  };
}

const SERVER_OPTIONS = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC"];

/** Returns what the command line of a folder's server contains, and no other. */
function markerOf(folder: string): string {
  return `easycron-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`;
}

interface ServerProgram {
  readonly command: readonly string[];
  readonly folder: string;
  readonly answers: () => Promise<boolean>;
  readonly onLine: (line: string) => void;
}

function toProgram({ command, folder, answers, onLine }: ServerProgram): Program {
  return {
    name: "kafka",
    start: () => {
      const child = spawn("java", command, {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        // Ctrl-C must reach the supervisor only, which stops the services first.
        detached: true,
      });
      void stopWhenWeDie(child);
      return child;
    },
    watchReady: (child, ready) => {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream === null) continue;
        createInterface(stream).on("line", (line) => {
          onLine(line);
          // The port is open now. The server is ready when it has also answered a client who has logged in.
          if (!line.includes("Kafka Server started")) return;
          void answers().then((answered) => {
            if (answered) return ready();
            onLine(
              "ERROR it does not let the administrator log in; use the password of the folder's first start.",
            );
            child.kill("SIGKILL");
          });
        });
      }
    },
  };
}

async function isAnswering(brokers: string, password: string): Promise<boolean> {
  // Loaded only here: it takes 0.5 s of CPU time, and most starts are without Kafka.
  const { Admin } = await import("@platformatic/kafka");
  const admin = new Admin({
    clientId: "easycron-start",
    bootstrapBrokers: [brokers],
    sasl: { mechanism: "SCRAM-SHA-512", username: USERNAME, password },
    connectTimeout: ANSWER_TIMEOUT_MS,
    timeout: ANSWER_TIMEOUT_MS,
    retries: 3,
    retryDelay: 100,
  });
  try {
    await admin.metadata({ topics: [] });
    return true;
  } catch {
    // With a wrong password, or when the process ends at once.
    return false;
  } finally {
    await admin.close();
  }
}

/** Returns the words of the server's output that say why it ended. */
function toProblem(lines: readonly string[]): string {
  const errors = lines.map((line) => /\b(?:ERROR|FATAL) (.*)$/.exec(line)?.[1]);
  return errors.find((text) => text !== undefined) ?? lines.at(-1) ?? "it wrote no reason.";
}
