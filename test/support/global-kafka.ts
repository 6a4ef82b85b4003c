import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import type { KafkaServer } from "../../dev/kafka-server.ts";
import { type SharedKafka, startTestKafka, whyNoTestKafka } from "./kafka.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A URL that answers with the SharedKafka as JSON, or with 404. The first request starts the server. */
    easycronKafkaUrl: string;
  }
}

interface Shared {
  users: number;
  readonly ready: Promise<{ url: string; stop(): Promise<void> }>;
}

// Each of vitest's projects loads this module and runs the set-up. The server is kept in globalThis, so they share it.
const shared = globalThis as { easycronTestKafka?: Shared };

/** Offers one Kafka to all test files. Returns the function that stops it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.easycronTestKafka ??= { users: 0, ready: offer() };
  const own = shared.easycronTestKafka;
  own.users++;
  const { url, stop } = await own.ready;
  project.provide("easycronKafkaUrl", url);
  return async () => {
    own.users--;
    if (own.users > 0) return;
    delete shared.easycronTestKafka;
    await stop();
  };
}

async function offer() {
  let asked: Promise<SharedKafka | undefined> | undefined;
  let started: KafkaServer | undefined;
  const start = async (): Promise<SharedKafka | undefined> => {
    const ownBrokers = process.env.KAFKA_BROKERS;
    if (ownBrokers !== undefined) {
      const { KAFKA_USERNAME: username = "admin", KAFKA_PASSWORD: password = "" } = process.env;
      return { brokers: ownBrokers, username, password };
    }
    const problem = whyNoTestKafka();
    if (problem !== undefined) {
      console.warn(
        `The tests of Kafka are SKIPPED. ${problem} Or set KAFKA_BROKERS, KAFKA_USERNAME and KAFKA_PASSWORD.`,
      );
      return undefined;
    }
    started = await startTestKafka();
    const { brokers, username, password } = started;
    return { brokers, username, password };
  };
  const server = createServer((_, response) => {
    asked ??= start();
    asked.then(
      (kafka) => (kafka === undefined ? response.writeHead(404).end() : response.end(JSON.stringify(kafka))),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await asked?.catch(() => undefined);
      await started?.stop();
    },
  };
}
