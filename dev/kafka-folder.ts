import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { problemOf, StartError } from "./start-error.ts";

const CONFIG = join(import.meta.dirname, "kafka");

/** Java's options for each of Kafka's programs. */
export const JAVA_OPTIONS: readonly string[] = [
  "-XX:TieredStopAtLevel=1",
  `-Dlog4j2.configurationFile=${join(CONFIG, "log4j2.properties")}`,
];

const FORMAT_TIMEOUT_MS = 60_000;

// Any id will do. It only keeps a broker from the data of another cluster.
const CLUSTER_ID = "ZlhdiDjhQdKiNcSA4JTgjg";

/** What the configuration of a server has of its own. */
export interface KafkaFolderOptions {
  readonly folder: string;
  /** Java's class path with Kafka's jars. */
  readonly classPath: string;
  /** The password of the user "admin": 8 to 128 letters, digits, `_` or `-`. */
  readonly adminPassword: string;
  readonly port: number;
  readonly controllerPort: number;
}

/**
 * Writes the configuration into a server's folder, and formats the folder unless that was done before. Returns the
 * path of the configuration. Throws a StartError when the password has other characters, or the folder cannot be
 * formatted.
 */
export async function prepareKafkaFolder(options: KafkaFolderOptions): Promise<string> {
  const { folder, adminPassword } = options;
  if (!/^[A-Za-z0-9_-]{8,128}$/.test(adminPassword)) {
    throw new StartError(
      'The password of Kafka\'s administrator must have 8 to 128 letters, digits, "_" or "-"; make another one.',
    );
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "server.properties");
  writeFileSync(path, toProperties(options), { mode: 0o600 });
  if (!existsSync(join(folder, "data/meta.properties"))) await format(options, path);
  return path;
}

function toProperties({ port, controllerPort, adminPassword }: KafkaFolderOptions): string {
  const values = new Map(Object.entries({ port, controllerPort, password: adminPassword }));
  const template = readFileSync(join(CONFIG, "server.properties"), "utf8");
  return template.replace(/\{(\w+)\}/g, (word, name: string) => String(values.get(name) ?? word));
}

async function format(options: KafkaFolderOptions, config: string): Promise<void> {
  const { folder, classPath, adminPassword } = options;
  // The arguments are in a file, because other users of the machine can read a command line.
  const args = join(folder, "format-arguments");
  const scram = `SCRAM-SHA-512=[name=admin,password=${adminPassword}]`;
  const lines = ["--standalone", "--cluster-id", CLUSTER_ID, "--config", config, "--add-scram", scram];
  writeFileSync(args, ["format", ...lines].join("\n"), { mode: 0o600 });
  // What a run that was killed while it formatted has left here is not complete.
  rmSync(join(folder, "data"), { recursive: true, force: true });
  try {
    const java = [...JAVA_OPTIONS, "-cp", classPath, "kafka.tools.StorageTool", `@${args}`];
    await promisify(execFile)("java", java, { cwd: folder, timeout: FORMAT_TIMEOUT_MS });
  } catch (cause) {
    rmSync(join(folder, "data"), { recursive: true, force: true });
    throw new StartError(`Kafka cannot format ${folder}: ${problemOf(cause)}. Move the folder away.`, {
      cause,
    });
  } finally {
    rmSync(args, { force: true });
  }
}
