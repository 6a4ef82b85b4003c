import { Admin, type Broker, type Connection } from "@platformatic/kafka";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { orAbort } from "../../mesh/or-abort.ts";
import { createFailureLog } from "../failure-log.ts";
import { isAnswer, isTemporary } from "./admin-errors.ts";
import type { KafkaSettings } from "./settings.ts";

/** A connection of the administrator. */
export interface AdminSession {
  readonly client: Admin;
  /** To any one broker. A broker passes on what only the controller may do. */
  readonly connection: Connection;
  /** Aborted when nobody waits for the work any more. It must then change nothing further. */
  readonly signal: AbortSignal;
}

/** Carries out the administrator's work. */
export interface KafkaAdmin {
  /**
   * Runs `work`. Throws SERVICE_UNAVAILABLE if Kafka does not answer before `signal` is aborted, or within 10 s a
   * request, or does not let the administrator log in. Passes on what `work` throws, and what Kafka refuses.
   */
  run<T>(signal: AbortSignal, work: (session: AdminSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Creates the administrator's client. It uses @platformatic/kafka, because kafkajs 2.2.4 has no calls for SCRAM users,
 * quotas and incremental changes of configurations. It connects when it is used first, and anew after a failure.
 */
export function createKafkaAdmin(settings: KafkaSettings): KafkaAdmin {
  const brokers = settings.brokers.map(toBroker);
  const onFailure = createFailureLog(settings.logger, "Kafka does not answer its administrator");
  let current: Admin | undefined;
  const forget = (client: Admin) => {
    if (current === client) current = undefined;
    // Its connection may never answer, so nobody waits for the end.
    client.close().catch(() => {});
  };
  return {
    run: async (signal, work) => {
      current ??= createClient(settings);
      const client = current;
      const start = async () => {
        const connection = await client.connections.getFirstAvailable(brokers);
        signal.throwIfAborted();
        return await work({ client, connection, signal });
      };
      const working = start();
      // Also after nobody waits any more: a request that is never answered fails by its own time limit.
      working.catch((error: unknown) => {
        if (!isHarmless(error, signal)) forget(client);
      });
      try {
        return await orAbort(working, signal);
      } catch (error) {
        if (error instanceof EasyCronError) throw error;
        if (isAnswer(error) && !isTemporary(error)) throw error;
        onFailure(error);
        throw failure("SERVICE_UNAVAILABLE", { service: "managed Kafka" }, { cause: error });
      }
    },
    close: async () => {
      await current?.close().catch(() => {});
    },
  };
}

/** Whether the client can still be used: others work with the same one, and one caller who leaves must not stop them. */
function isHarmless(error: unknown, signal: AbortSignal): boolean {
  return error instanceof EasyCronError || isAnswer(error) || (signal.aborted && error === signal.reason);
}

function createClient({ brokers, username, password }: KafkaSettings): Admin {
  return new Admin({
    clientId: "easycron-plugins",
    bootstrapBrokers: [...brokers],
    sasl: { mechanism: "SCRAM-SHA-512", username, password },
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    timeout: REQUEST_TIMEOUT_MS,
    retries: 0,
  });
}

function toBroker(address: string): Broker {
  const end = address.lastIndexOf(":");
  return { host: address.slice(0, end).replace(/^\[|\]$/g, ""), port: Number(address.slice(end + 1)) };
}
