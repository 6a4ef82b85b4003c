import { createNoopMeter } from "@opentelemetry/api";
import type { Database } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { parseAllowList } from "../../mesh/egress-address.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcClient } from "../../mesh/grpc-client.ts";
import { createHealth } from "../../mesh/grpc-health.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import type { ServiceImplementation } from "../../mesh/grpc-service.ts";
import type { Logger } from "../../mesh/logger.ts";
import { hashSecret } from "../access/api-key-secret.ts";
import { createOnePort, type OnePortOptions } from "../edge/one-port.ts";
import type { PluginParts } from "../plugins/parts.ts";
import { createPublicApi, type PublicApiParts } from "../public-api.ts";

type Scheduler = ServiceImplementation<typeof SchedulerService>;
type Dispatcher = ServiceImplementation<typeof DispatcherService>;

/** A key that opens proj_a, which has the Redis plugin. */
export const PROJECT_KEY = "ec_live_a";
/** A key that opens proj_b, which has no plugin. */
export const OTHER_KEY = "ec_live_b";
export const OPERATOR_KEY = "operator";

/** What a test may replace. */
export interface StartOptions {
  readonly scheduler?: Partial<Scheduler>;
  readonly dispatcher?: Partial<Dispatcher>;
  /** Plugin delivery. Default: none, as when no address is configured. */
  readonly plugins?: PluginParts;
  readonly limits?: Partial<OnePortOptions>;
  /** Default: nobody gets measures or spans. */
  readonly telemetry?: PublicApiParts["telemetry"];
  /** Default false. */
  readonly hasReflection?: boolean;
  /** A real database, in place of the fake one. */
  readonly database?: Database;
  /** Default: a clock that stands still. */
  readonly clock?: Clock;
  /** Answers a statement in the fake database; undefined leaves it to the default. */
  readonly answer?: (name: string, values: readonly unknown[]) => readonly object[] | undefined;
}

/** A gateway on a real port, with what it logged. */
export interface StartedGateway {
  readonly url: string;
  readonly port: number;
  readonly logged: {
    readonly level: string;
    readonly fields: Record<string, unknown>;
    readonly message: string;
  }[];
  readonly setServing: (serving: boolean) => void;
  close(graceMs?: number): Promise<void>;
}

const UNMEASURED: PublicApiParts["telemetry"] = {
  meter: createNoopMeter(),
  hasMetrics: false,
  callTracer: undefined,
  isSampled: () => false,
};
const NOW = Date.UTC(2026, 0, 1);
const LIMITS = { sniffMs: 1_000, headersMs: 1_000, requestMs: 2_000, idleMs: 10_000, maxStreams: 100 };

/** Starts the gateway's own code, whole, between fakes of its neighbours that speak real gRPC, and a fake database. */
export async function startGateway(options: StartOptions = {}): Promise<StartedGateway> {
  const logged: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const log = (level: string) => (fields: object, message: string) => {
    logged.push({ level, fields: { ...fields }, message });
  };
  const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
  const inner = createGrpcServer({ logger });
  inner.add(SchedulerService, withUnimplemented(SchedulerService.methods, options.scheduler) as Scheduler);
  inner.add(
    DispatcherService,
    withUnimplemented(DispatcherService.methods, options.dispatcher) as Dispatcher,
  );
  const addresses = [`127.0.0.1:${await inner.listen("127.0.0.1:0")}`];
  const scheduler = createGrpcClient(SchedulerService, { addresses, deadlineMs: 15_000 });
  const dispatcher = createGrpcClient(DispatcherService, { addresses, deadlineMs: 15_000 });
  const health = createHealth();
  const closing = new AbortController();
  const listener = createPublicApi({
    telemetry: options.telemetry ?? UNMEASURED,
    database: options.database ?? fakeDatabase(options.answer),
    scheduler,
    dispatcher,
    plugins: options.plugins,
    health,
    logger,
    clock: options.clock ?? { now: () => NOW },
    operatorKeyHash: hashSecret(OPERATOR_KEY),
    keyKind: "live",
    allow: parseAllowList(""),
    hasReflection: options.hasReflection ?? false,
    shutdownSignal: closing.signal,
  });
  const server = createOnePort(listener, { ...LIMITS, ...options.limits });
  const port = await server.listen("127.0.0.1", 0);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    logged,
    setServing: health.setServing,
    close: async (graceMs = 0) => {
      closing.abort();
      await server.close(graceMs);
      scheduler.close();
      dispatcher.close();
      await inner.close(0);
    },
  };
}

function withUnimplemented(methods: readonly { readonly localName: string }[], given: object = {}): object {
  const unimplemented = async () => {
    throw failure("METHOD_UNIMPLEMENTED", { method: "fake" });
  };
  return { ...Object.fromEntries(methods.map(({ localName }) => [localName, unimplemented])), ...given };
}

const UNUSED = { last_use_time: null, expire_time: null, revoke_time: null };

function fakeDatabase(answer: StartOptions["answer"]): Database {
  const keys: Record<string, object> = {
    [hashSecret(PROJECT_KEY).toString("hex")]: { id: "key_a", project_id: "proj_a" },
    [hashSecret(OTHER_KEY).toString("hex")]: { id: "key_b", project_id: "proj_b" },
  };
  const valid = { expire_time: null, has_expired: false, revoke_time: null, is_use_old: false };
  const query = async <Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> => {
    const given = answer?.(statement.name, values);
    if (given !== undefined) return given as Row[];
    if (statement.name === "apiKeyByHash") {
      const found = keys[(values[0] as Buffer).toString("hex")];
      return (found === undefined ? [] : [{ ...found, ...valid, secret_hash: values[0] }]) as Row[];
    }
    if (statement.name === "apiKeyInsert") {
      const [id, , display_name, , secret_prefix] = values;
      return [{ id, display_name, secret_prefix, create_time: NOW, ...UNUSED }] as Row[];
    }
    if (statement.name === "pluginStates") {
      const states = values[0] === "proj_a" ? [{ kind: "REDIS", state: "ENABLED", is_usable: true }] : [];
      return states as Row[];
    }
    return [{ id: values[0] }] as Row[];
  };
  return {
    query,
    transaction: (work) => work({ query }),
    snapshot: (work) => work({ query }),
  };
}
