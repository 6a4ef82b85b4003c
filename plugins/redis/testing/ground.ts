import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import {
  DeliverRequestSchema,
  type MessageSchema,
  ProvisionRequestSchema,
} from "../../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../../../gen/easycron/v1/plugin_pb.ts";
import type { RedisTargetSchema } from "../../../gen/easycron/v1/target_pb.ts";
import { systemClock } from "../../../mesh/clock.ts";
import type { Logger } from "../../../mesh/logger.ts";
import type { Plugin } from "../../plugin.ts";
import { createRedisPlugin } from "../redis.ts";

/** A line that a logger was given. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** Makes a logger that keeps its lines. */
export function recordLog(): { readonly logger: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (level: string) => (fields: object, message: string) => lines.push({ level, message, fields });
  const logger = { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
  return { logger, lines };
}

/** Makes a plugin on a server, until the end of the test. */
export function openPlugin(url: string, logger: Logger = recordLog().logger): Plugin {
  const plugin = createRedisPlugin({
    url,
    publicAddress: undefined,
    connections: 2,
    defaultLimits: { maxBytes: 1_000_000, maxKeys: 1_000 },
    maxLimits: { maxBytes: 10_000_000, maxKeys: 10_000 },
    logger,
    clock: systemClock,
  });
  onTestFinished(() => plugin.close());
  return plugin;
}

let projects = 0;

/** Returns the id of a project that no other test of this file uses. */
export function newProject(): string {
  projects += 1;
  return `proj_test${projects}`;
}

/** What a test asks of `setUp`. */
export interface SetUpOptions {
  /** The numbers of the project's users. Default: 1. The password of user n is "password-n". */
  readonly users?: readonly number[];
  readonly isReadOnly?: boolean;
}

/** Sets a project up, or changes it. */
export async function setUp(plugin: Plugin, projectId: string, options: SetUpOptions = {}): Promise<void> {
  const { users = [1], isReadOnly = false } = options;
  const credentials = users.map((n) => ({
    username: `${projectId}-${n}`,
    passwordSha256: createHash("sha256").update(`password-${n}`).digest(),
  }));
  const limits = { maxBytes: 1_000_000n, maxKeys: 1_000n };
  const request = { kind: PluginKind.REDIS, projectId, credentials, isReadOnly, limits };
  await plugin.provision(create(ProvisionRequestSchema, request), AbortSignal.timeout(10_000));
}

/** Opens a client until the end of the test. It does not connect again. */
export function openClient(
  port: number,
  login: { readonly username: string; readonly password: string },
): Redis {
  const client = new Redis({
    port,
    retryStrategy: () => null,
    enableReadyCheck: false,
    protocol: 2,
    ...login,
  });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** Opens a client with a project's credentials, as a customer would. */
export function openCustomer(port: number, projectId: string, user = 1): Redis {
  return openClient(port, { username: `${projectId}-${user}`, password: `password-${user}` });
}

/** Where a test's message goes: a destination of the Redis target, and its options. */
export type Place = MessageInitShape<typeof RedisTargetSchema>;

/** What a test may want to be different in a message. */
export interface MessageChanges {
  readonly body?: Uint8Array;
  readonly fireTime?: string;
  readonly guard?: string;
  readonly guardTtlMs?: bigint;
}

/** Makes a message of a trigger to a place. Its body is `{"n":<id>}`. */
export function toMessage(id: string, target: Place, changes: MessageChanges = {}) {
  return {
    triggerId: `trg_${id}`,
    target: { kind: { case: "redis" as const, value: target } },
    body: Buffer.from(`{"n":"${id}"}`),
    jobName: "payroll",
    jobUid: "job_1",
    fireTime: "2026-03-01T09:00:00.000Z",
    webhookTimestamp: 1_772_355_600n,
    webhookSignature: "v1,c2lnbmF0dXJl",
    guard: `trg_${id}:0`,
    guardTtlMs: 3_600_000n,
    ...changes,
  };
}

/** Delivers messages of a project. */
export function deliverAll(
  plugin: Plugin,
  projectId: string,
  messages: readonly MessageInitShape<typeof MessageSchema>[],
  limitMs = 10_000,
) {
  const request = create(DeliverRequestSchema, { projectId, messages: [...messages] });
  return plugin.deliver(request, AbortSignal.timeout(limitMs));
}
