import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { prepareKafkaFolder } from "../../dev/kafka-folder.ts";
import { ensureJars, whyNoKafka } from "../../dev/kafka-jars.ts";
import { type KafkaServer, startKafkaServer } from "../../dev/kafka-server.ts";
import { copyFolder } from "./copy-folder.ts";

/** The Kafka of a test run: where it is, and its administrator. */
export interface SharedKafka {
  /** The bootstrap servers: host:port, separated by commas. */
  readonly brokers: string;
  readonly username: string;
  readonly password: string;
}

/** The folder of Kafka's jars. They are kept between test runs. */
export const JARS = join(import.meta.dirname, "../../node_modules/.cache/easycron-kafka/jars");
const ADMIN_PASSWORD = "admin-secret";

/**
 * Returns whether tests can use a Kafka: the one that KAFKA_BROKERS names, or one that Java and Maven can start here.
 * Otherwise the first call of a test run prints why, and how to enable the tests.
 */
export async function hasKafka(): Promise<boolean> {
  return (await ask()) !== undefined;
}

/**
 * Returns the Kafka that all test files of a run share, and starts it if it does not run yet. A test uses projects of
 * its own and does not stop the server. Throws when there is none (see `hasKafka`).
 */
export async function joinKafka(): Promise<SharedKafka> {
  const kafka = await ask();
  if (kafka === undefined)
    throw new Error("There is no Kafka here; skip the test unless hasKafka() is true.");
  return kafka;
}

// The set-up of the run answers. It starts the server at the first request.
async function ask(): Promise<SharedKafka | undefined> {
  const response = await fetch(inject("easycronKafkaUrl"));
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`The shared Kafka could not be started: ${await response.text()}`);
  return (await response.json()) as SharedKafka;
}

/** Returns why `startTestKafka` cannot start a server here; undefined if it can. */
export function whyNoTestKafka(): string | undefined {
  return whyNoKafka(JARS);
}

/** Starts a Kafka of a test's own on new data, for tests that kill it. `stop` also removes the data. */
export async function startTestKafka(): Promise<KafkaServer> {
  const parent = await mkdtemp(join(tmpdir(), "easycron-kafka-"));
  const folder = join(parent, "kafka");
  const remove = () => rm(parent, { recursive: true, force: true });
  try {
    await copyFolder(await ensureTemplate(), folder);
    const options = { folder, jarsFolder: JARS, adminPassword: ADMIN_PASSWORD, archivesClasses: true };
    const server = await startKafkaServer(options);
    const { stop } = server;
    return Object.assign(server, { stop: (graceMs?: number) => stop(graceMs).finally(remove) });
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Returns the path of a formatted folder. It is kept with the jars, because formatting takes 2 s. */
async function ensureTemplate(): Promise<string> {
  const classPath = await ensureJars(JARS);
  const template = join(JARS, "template");
  if (existsSync(template)) return template;
  await mkdir(JARS, { recursive: true });
  const making = await mkdtemp(`${template}-`);
  try {
    const options = { classPath, adminPassword: ADMIN_PASSWORD, port: 9092, controllerPort: 9093 };
    await prepareKafkaFolder({ folder: making, ...options });
    await rename(making, template);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another process has made it meanwhile.
    if (!existsSync(template)) throw error;
  }
  return template;
}
