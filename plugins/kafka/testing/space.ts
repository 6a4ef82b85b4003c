import { pbkdf2Sync, randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DeliverRequestSchema,
  type Message,
  MessageSchema,
  type ProvisionRequest,
  ProvisionRequestSchema,
} from "../../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../../../gen/easycron/v1/plugin_pb.ts";
import type { KafkaTargetSchema } from "../../../gen/easycron/v1/target_pb.ts";
import { createLogger } from "../../../mesh/logger.ts";
import type { SharedKafka } from "../../../test/support/kafka.ts";
import type { KafkaSettings } from "../settings.ts";

/** Returns settings for a Kafka, with limits that tests need not think of. */
export function settingsFor(
  { brokers, username, password }: SharedKafka,
  logger = createLogger("plugins", { EASYCRON_LOG_LEVEL: "silent" }),
): KafkaSettings {
  return {
    brokers: brokers.split(","),
    username,
    password,
    defaultLimits: LIMITS,
    maxLimits: LIMITS,
    logger,
  };
}

/** Limits with room for what tests do. */
export const LIMITS = {
  maxTopics: 10,
  maxPartitions: 12,
  produceBytesPerSecond: 50_000_000n,
  consumeBytesPerSecond: 50_000_000n,
  maxPartitionBytes: 100_000_000n,
  maxRetention: { seconds: 86_400n },
};

/** Returns the id of a project that no other test has. */
export function newProjectId(): string {
  return `proj_${randomBytes(8).toString("hex")}`;
}

/** Returns the secret of a password. */
export function scramOf(password: string) {
  const salt = randomBytes(24);
  const iterations = 4_096;
  return { salt, iterations, saltedPassword: pbkdf2Sync(password, salt, iterations, 64, "sha512") };
}

/** Returns a request that makes a project's space, with one user `<project>-1` unless the request says otherwise. */
export function provisionRequest(
  projectId: string,
  request: Exclude<MessageInitShape<typeof ProvisionRequestSchema>, ProvisionRequest> = {},
) {
  return create(ProvisionRequestSchema, {
    kind: PluginKind.KAFKA,
    projectId,
    limits: LIMITS,
    credentials: [{ username: `${projectId}-1`, scram: scramOf("password-1") }],
    ...request,
  });
}

/** Returns a message for a topic. */
export function messageFor(
  target: MessageInitShape<typeof KafkaTargetSchema>,
  message: Exclude<MessageInitShape<typeof MessageSchema>, Message> = {},
) {
  const triggerId = message.triggerId ?? `trg_${randomBytes(8).toString("hex")}`;
  return create(MessageSchema, {
    triggerId,
    target: { kind: { case: "kafka", value: target } },
    body: Buffer.from(`{"type":"trigger.fired","data":{"trigger":"${triggerId}"}}`),
    jobName: "payroll",
    jobUid: "job_1",
    fireTime: "2026-03-01T09:00:00.000Z",
    webhookTimestamp: 1_772_355_600n,
    webhookSignature: "v1,c2lnbmF0dXJl",
    guard: triggerId,
    guardTtlMs: 60_000n,
    ...message,
  });
}

/** Returns a batch. */
export function batchOf(projectId: string, messages: ReturnType<typeof messageFor>[]) {
  return create(DeliverRequestSchema, { projectId, messages });
}
