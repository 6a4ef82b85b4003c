import type {
  DeliverRequest,
  MeasureUsageRequest,
  ProvisionRequest,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { fieldFailure } from "../mesh/errors.ts";

const MAX_MESSAGES = 1_000;
const MAX_PROJECTS = 1_000;
const MAX_CREDENTIALS = 20;
const MAX_GUARD_TTL_MS = 400 * 86_400_000;

// A project's id is part of the names of keys, topics and users, and of patterns in the brokers' access rules. So it must
// have no character that means anything there.
const PROJECT_ID = /^proj_[A-Za-z0-9]{1,60}$/;

/** Throws FIELD_INVALID unless this is the id of a project. */
export function checkProjectId(projectId: string, field = "project_id"): void {
  if (PROJECT_ID.test(projectId)) return;
  throw fieldFailure("FIELD_INVALID", field, `"${projectId}" must be proj_ and 1 to 60 letters and digits.`);
}

/**
 * Throws FIELD_INVALID unless the batch has 1 to 1,000 messages for one kind of broker, each with a trigger's id and a
 * guard. Returns the kind.
 */
export function checkBatch({ projectId, messages }: DeliverRequest): PluginKind {
  checkProjectId(projectId);
  if (messages.length < 1 || messages.length > MAX_MESSAGES) {
    const problem = `The batch has ${messages.length} messages; it must have 1 to ${MAX_MESSAGES}.`;
    throw fieldFailure("FIELD_INVALID", "messages", problem);
  }
  const kinds = messages.map(({ target }) => target?.kind.case);
  const [kind] = kinds;
  const isPlugin = kind === "redis" || kind === "kafka";
  const other = kinds.findIndex((each) => !isPlugin || each !== kind);
  if (other >= 0) {
    const problem = `The target is ${kinds[other] ?? "not set"}; all must be redis, or all kafka.`;
    throw fieldFailure("FIELD_INVALID", `messages[${other}].target`, problem);
  }
  for (const [index, { triggerId, guard, guardTtlMs }] of messages.entries()) {
    const field = `messages[${index}]`;
    if (!/^[\x21-\x7e]{1,100}$/.test(triggerId)) {
      throw fieldFailure("FIELD_INVALID", `${field}.trigger_id`, "It must be 1 to 100 printable characters.");
    }
    if (!/^[\x21-\x7e]{1,200}$/.test(guard)) {
      throw fieldFailure("FIELD_INVALID", `${field}.guard`, "It must be 1 to 200 printable characters.");
    }
    if (guardTtlMs < 1n || guardTtlMs > MAX_GUARD_TTL_MS) {
      const problem = `${guardTtlMs} must be 1 to ${MAX_GUARD_TTL_MS} milliseconds.`;
      throw fieldFailure("FIELD_INVALID", `${field}.guard_ttl_ms`, problem);
    }
  }
  return kind === "redis" ? PluginKind.REDIS : PluginKind.KAFKA;
}

/** Throws FIELD_INVALID unless the users are the project's own, at most 20, and each is named once. */
export function checkProvision({ projectId, credentials }: ProvisionRequest): void {
  checkProjectId(projectId);
  if (credentials.length > MAX_CREDENTIALS) {
    const problem = `There are ${credentials.length}; there can be at most ${MAX_CREDENTIALS}.`;
    throw fieldFailure("FIELD_INVALID", "credentials", problem);
  }
  const names = credentials.map(({ username }) => username);
  for (const [index, name] of names.entries()) {
    const isOwn = name.startsWith(`${projectId}-`) && /^[0-9]{1,15}$/.test(name.slice(projectId.length + 1));
    if (isOwn && names.indexOf(name) === index) continue;
    const problem = `"${name}" must be ${projectId}- and digits, and there only once.`;
    throw fieldFailure("FIELD_INVALID", `credentials[${index}].username`, problem);
  }
}

/** Throws FIELD_INVALID unless there are at most 1,000 projects. */
export function checkMeasure({ projectIds }: MeasureUsageRequest): void {
  if (projectIds.length > MAX_PROJECTS) {
    const problem = `There are ${projectIds.length} projects; there can be at most ${MAX_PROJECTS}.`;
    throw fieldFailure("FIELD_INVALID", "project_ids", problem);
  }
  for (const [index, projectId] of projectIds.entries()) checkProjectId(projectId, `project_ids[${index}]`);
}
