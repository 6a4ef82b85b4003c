import { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Logger } from "../../mesh/logger.ts";
import { createFailureLog } from "../failure-log.ts";
import type { Plugin } from "../plugin.ts";
import { asAdmin, askEach } from "./admin.ts";
import { type Connection, connect } from "./connection.ts";
import { deliver } from "./deliver.ts";
import { createCommandReader } from "./known-commands.ts";
import { provision } from "./provision.ts";
import { remove } from "./remove.ts";
import { checkServer } from "./server-check.ts";
import { measureUsage } from "./usage.ts";

/** What the Redis plugin needs. */
export interface RedisPluginOptions {
  /** The managed Redis, with the credentials of an administrator. */
  readonly url: string;
  /** Where customers connect to. Undefined: host and port of the URL. */
  readonly publicAddress: string | undefined;
  /** How many connections write messages. */
  readonly connections: number;
  /** The limits of a project that asks for none, and the highest that it may ask for. */
  readonly defaultLimits: RedisLimits;
  readonly maxLimits: RedisLimits;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The limits of a project. */
export interface RedisLimits {
  readonly maxBytes: number;
  readonly maxKeys: number;
}

const DESCRIBE_LIMIT_MS = 1_000;

/** Makes the Redis plugin. Its connections open by themselves; it may be used before they are open. */
export function createRedisPlugin(options: RedisPluginOptions): Plugin {
  const { url, logger, clock } = options;
  const admin = connect(url, "admin", logger);
  // Walking all keys takes long, so it has a connection of its own, and no call waits for it.
  const walker = connect(url, "walker", logger);
  const writers = Array.from({ length: options.connections }, (_, index) =>
    connect(url, `writer-${index}`, logger),
  );
  const readCommands = createCommandReader(admin);
  const reportTrouble = createFailureLog(logger, "the managed Redis did not take messages");
  const reportAdmin = createFailureLog(logger, "the managed Redis did not do what an administrator asked");
  watchServer(admin, logger);

  return {
    describe: () => describe(options, admin),
    deliver: (request, signal) =>
      deliver(request, writerOf(request.projectId, writers, admin), signal, reportTrouble),
    provision: async (request, signal) => {
      await asAdmin(admin, signal, reportAdmin, () => provision(request, admin, readCommands, signal));
      return {};
    },
    remove: (projectId, signal) =>
      asAdmin(walker, signal, reportAdmin, () => remove(projectId, walker, signal)),
    measureUsage: (projectIds, signal) =>
      asAdmin(walker, signal, reportAdmin, () => measureUsage(projectIds, walker, signal, clock)),
    close: async () => {
      for (const connection of [admin, walker, ...writers]) connection.close();
    },
  };
}

async function describe(
  { url, publicAddress, defaultLimits, maxLimits }: RedisPluginOptions,
  admin: Connection,
) {
  const { protocol, host, port } = new URL(url);
  const toLimits = ({ maxBytes, maxKeys }: RedisLimits) => ({
    maxBytes: BigInt(maxBytes),
    maxKeys: BigInt(maxKeys),
  });
  return {
    kind: PluginKind.REDIS,
    endpoint: publicAddress ?? (port === "" ? `${host}:6379` : host),
    usesTls: protocol === "rediss:",
    defaultLimits: toLimits(defaultLimits),
    maxLimits: toLimits(maxLimits),
    ...(await look(admin)),
  };
}

/** Looks whether the server answers, and which run of it that is. */
async function look(admin: Connection): Promise<{ problem: string; runId: string }> {
  const signal = AbortSignal.timeout(DESCRIBE_LIMIT_MS);
  try {
    if (!(await admin.untilReady(signal))) {
      return { problem: "The managed Redis cannot be reached now.", runId: "" };
    }
    const [ping, info] = await askEach(admin, signal, [["PING"], ["INFO", "server"]]);
    if (ping?.[0] instanceof Error) throw ping[0];
    // Some servers that are managed by others allow no INFO.
    return { problem: "", runId: /^run_id:(\w+)/m.exec(String(info?.[1]))?.[1] ?? "" };
  } catch {
    return { problem: "The managed Redis does not answer now.", runId: "" };
  }
}

/** Returns the connection that writes for a project: always the same one, so that its batches keep their order. */
function writerOf(projectId: string, writers: readonly Connection[], otherwise: Connection): Connection {
  let hash = 0;
  for (const character of projectId) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return writers[hash % writers.length] ?? otherwise;
}

/** Looks at the server's configuration at each connection, and logs what is wrong with it. */
function watchServer(admin: Connection, logger: Logger): void {
  admin.client.on("ready", () => {
    checkServer(admin).then(
      (problems) => {
        for (const problem of problems)
          logger.warn({ problem }, "the managed Redis is not configured as it should be");
      },
      (err: unknown) => logger.warn({ err }, "the configuration of the managed Redis cannot be read"),
    );
  });
}
