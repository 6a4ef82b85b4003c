import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { Target, WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import type { AllowList } from "../../mesh/egress-address.ts";
import { checkUrl } from "../../mesh/egress-url.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { isReservedHeader } from "./reserved-headers.ts";

/** What a job is checked against, besides the rules in its proto. */
export interface JobRules {
  /** Address ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
  /** The plugins that are enabled for the project. */
  readonly plugins: readonly string[];
}

/** The largest payload, in bytes of JSON. */
export const MAX_PAYLOAD_BYTES = 65_536;

// In protobuf each level of an object is three nested messages. Most clients read at most 100 nested messages.
const MAX_PAYLOAD_DEPTH = 30;

const JOB_REQUIRED = "It is required; accepted: an object with at least name and target.";
const NAME_REQUIRED =
  "It is required; accepted: 1 to 63 characters, lower-case letters, digits, `.` `_` `-`; the first and the last a letter or digit.";
const TARGET_REQUIRED = "It is required; accepted: an object with one of webhook, redis, kafka.";

/**
 * Checks a new job: it has a name and a target, the project may use the target, and the payload is not too large.
 * Throws FIELD_INVALID, URL_INVALID, TARGET_FORBIDDEN, HEADER_RESERVED or PLUGIN_NOT_ENABLED, with the field.
 */
export function checkNewJob(job: Job | undefined, rules: JobRules): void {
  if (job === undefined) throw fieldFailure("FIELD_INVALID", "job", JOB_REQUIRED);
  checkName(job);
  if (job.target === undefined) throw fieldFailure("FIELD_INVALID", "job.target", TARGET_REQUIRED);
  checkTarget(job.target, rules);
  checkPayload(job.payload, "job.payload");
}

/**
 * Checks the new values of an update as `checkNewJob` does, but only the fields that the update writes: those that
 * `paths` names, or all fields that are set if `paths` is empty.
 */
export function checkChangedJob(job: Job | undefined, paths: readonly string[], rules: JobRules): void {
  if (job === undefined) throw fieldFailure("FIELD_INVALID", "job", JOB_REQUIRED);
  checkName(job);
  const isWritten = (field: string) => paths.length === 0 || paths.includes(field) || paths.includes("*");
  if (job.target === undefined && paths.includes("target")) {
    throw fieldFailure("FIELD_INVALID", "job.target", TARGET_REQUIRED);
  }
  if (job.target !== undefined && isWritten("target")) checkTarget(job.target, rules);
  if (isWritten("payload")) checkPayload(job.payload, "job.payload");
}

/** Checks a payload: at most 65,536 bytes of JSON, nested at most 30 deep. Throws FIELD_INVALID. */
export function checkPayload(payload: Value | undefined, field: string): void {
  if (payload === undefined) return;
  let json: JsonValue;
  try {
    json = toJson(ValueSchema, payload);
  } catch {
    // A binary request can contain numbers that JSON does not have, and values without a kind.
    throw fieldFailure(
      "FIELD_INVALID",
      field,
      "It cannot be written as JSON; use only values that JSON has.",
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(json));
  if (bytes > MAX_PAYLOAD_BYTES) {
    const problem = `As JSON it has ${bytes} bytes; at most ${MAX_PAYLOAD_BYTES} are allowed.`;
    throw fieldFailure("FIELD_INVALID", field, problem);
  }
  if (isDeeperThan(json, MAX_PAYLOAD_DEPTH)) {
    throw fieldFailure(
      "FIELD_INVALID",
      field,
      `It is nested too deep; at most ${MAX_PAYLOAD_DEPTH} levels are allowed.`,
    );
  }
}

function isDeeperThan(json: JsonValue, depth: number): boolean {
  if (typeof json !== "object" || json === null) return false;
  return depth === 0 || Object.values(json).some((value) => isDeeperThan(value, depth - 1));
}

function checkName(job: Job): void {
  if (job.name === "") throw fieldFailure("FIELD_INVALID", "job.name", NAME_REQUIRED);
}

function checkTarget({ kind }: Target, rules: JobRules): void {
  if (kind.case === undefined) {
    throw fieldFailure("FIELD_INVALID", "job.target", "Exactly one of webhook, redis, kafka must be set.");
  }
  if (kind.case === "webhook") checkWebhook(kind.value, rules);
  else if (!rules.plugins.includes(kind.case)) {
    const problem = `The ${kind.case} plugin is not enabled for this project; enabled: ${enabledOf(rules)}.`;
    throw fieldFailure("PLUGIN_NOT_ENABLED", `job.target.${kind.case}`, problem, { plugin: kind.case });
  }
}

function enabledOf({ plugins }: JobRules): string {
  return ["webhook", ...plugins].join(", ");
}

function checkWebhook(webhook: WebhookTarget, rules: JobRules): void {
  const verdict = checkUrl(webhook.url, rules.allow);
  if ("problem" in verdict) {
    throw fieldFailure(verdict.problem, "job.target.webhook.url", verdict.why, { value: webhook.url });
  }
  const seen = new Set<string>();
  for (const header of Object.keys(webhook.headers)) {
    const field = `job.target.webhook.headers[${JSON.stringify(header)}]`;
    if (isReservedHeader(header)) {
      const problem = "EasyCron or HTTP reserves this header; leave it out.";
      throw fieldFailure("HEADER_RESERVED", field, problem, { header });
    }
    if (seen.has(header.toLowerCase())) {
      throw fieldFailure(
        "FIELD_INVALID",
        field,
        "The header is set twice, because case does not matter; set it once.",
      );
    }
    seen.add(header.toLowerCase());
  }
}
