import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { Target, WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import type { AllowList } from "../../mesh/egress-address.ts";
import { checkUrl } from "../../mesh/egress-url.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import { isJsonRequest } from "../edge/request-text.ts";
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
 * Checks a new job: it has a name and a target, the project may use the target, and the payload can be kept. Returns
 * an error for each thing that is wrong: FIELD_INVALID, URL_INVALID, TARGET_FORBIDDEN, HEADER_RESERVED or
 * PLUGIN_NOT_ENABLED, with the field.
 */
export function newJobErrors(job: Job | undefined, rules: JobRules): EasyCronError[] {
  if (job === undefined) return [fieldFailure("FIELD_INVALID", "job", JOB_REQUIRED)];
  const target =
    job.target === undefined
      ? [fieldFailure("FIELD_INVALID", "job.target", TARGET_REQUIRED)]
      : targetErrors(job.target, rules);
  return [...nameErrors(job), ...target, ...payloadErrors(job.payload, "job.payload")];
}

/**
 * Checks the new values of an update as `newJobErrors` does, but only the fields that the update writes: those that
 * `paths` names, or all fields that are set if `paths` is empty.
 */
export function changedJobErrors(
  job: Job | undefined,
  paths: readonly string[],
  rules: JobRules,
): EasyCronError[] {
  if (job === undefined) return [fieldFailure("FIELD_INVALID", "job", JOB_REQUIRED)];
  const isWritten = (field: string) => paths.length === 0 || paths.includes(field) || paths.includes("*");
  const errors = nameErrors(job);
  if (job.target !== undefined && isWritten("target")) errors.push(...targetErrors(job.target, rules));
  if (job.target === undefined && paths.includes("target"))
    errors.push(fieldFailure("FIELD_INVALID", "job.target", TARGET_REQUIRED));
  return isWritten("payload") ? [...errors, ...payloadErrors(job.payload, "job.payload")] : errors;
}

/**
 * Checks a payload: at most 65,536 bytes of JSON, nested at most 30 deep, with numbers that are kept. Returns a
 * FIELD_INVALID error for each thing that is wrong.
 */
export function payloadErrors(payload: Value | undefined, field: string): EasyCronError[] {
  if (payload === undefined) return [];
  const refuse = (problem: string, at = field) => fieldFailure("FIELD_INVALID", at, problem);
  let json: JsonValue;
  try {
    json = toJson(ValueSchema, payload);
  } catch {
    // A binary request can contain numbers that JSON does not have, and values without a kind.
    return [refuse("It cannot be written as JSON; use only values that JSON has.")];
  }
  const bytes = Buffer.byteLength(JSON.stringify(json));
  if (bytes > MAX_PAYLOAD_BYTES)
    return [refuse(`As JSON it has ${bytes} bytes; at most ${MAX_PAYLOAD_BYTES} are allowed.`)];
  if (isDeeperThan(json, MAX_PAYLOAD_DEPTH))
    return [refuse(`It is nested too deep; at most ${MAX_PAYLOAD_DEPTH} levels are allowed.`)];
  if (isJsonRequest()) return [];
  return [...unkeptNumbers(json, field)].map(({ at, value }) =>
    refuse(
      `It is ${value}; whole numbers beyond 2^53 cannot be kept in this protocol; send JSON, or a text.`,
      at,
    ),
  );
}

/**
 * The whole numbers beyond 2^53 in a payload that came as google.protobuf.Value. Such a number is a double, which may
 * have been rounded before it was sent.
 */
function* unkeptNumbers(json: JsonValue, at: string): Generator<{ at: string; value: number }> {
  if (typeof json === "number" && Number.isInteger(json) && !Number.isSafeInteger(json))
    yield { at, value: json };
  if (Array.isArray(json)) {
    for (const [index, item] of json.entries()) yield* unkeptNumbers(item, `${at}[${index}]`);
  } else if (typeof json === "object" && json !== null) {
    for (const [key, item] of Object.entries(json)) yield* unkeptNumbers(item, `${at}.${key}`);
  }
}

function isDeeperThan(json: JsonValue, depth: number): boolean {
  if (typeof json !== "object" || json === null) return false;
  return depth === 0 || Object.values(json).some((value) => isDeeperThan(value, depth - 1));
}

function nameErrors(job: Job): EasyCronError[] {
  return job.name === "" ? [fieldFailure("FIELD_INVALID", "job.name", NAME_REQUIRED)] : [];
}

function targetErrors({ kind }: Target, rules: JobRules): EasyCronError[] {
  if (kind.case === undefined)
    return [fieldFailure("FIELD_INVALID", "job.target", "Exactly one of webhook, redis, kafka must be set.")];
  if (kind.case === "webhook") return webhookErrors(kind.value, rules);
  if (rules.plugins.includes(kind.case)) return [];
  const problem = `The ${kind.case} plugin is not enabled for this project; enabled: ${enabledOf(rules)}.`;
  return [fieldFailure("PLUGIN_NOT_ENABLED", `job.target.${kind.case}`, problem, { plugin: kind.case })];
}

function enabledOf({ plugins }: JobRules): string {
  return ["webhook", ...plugins].join(", ");
}

function webhookErrors(webhook: WebhookTarget, rules: JobRules): EasyCronError[] {
  const errors: EasyCronError[] = [];
  const verdict = checkUrl(webhook.url, rules.allow);
  if ("problem" in verdict)
    errors.push(fieldFailure(verdict.problem, "job.target.webhook.url", verdict.why, { value: webhook.url }));
  const seen = new Set<string>();
  for (const header of Object.keys(webhook.headers)) {
    const field = `job.target.webhook.headers[${JSON.stringify(header)}]`;
    if (isReservedHeader(header)) {
      const problem = "EasyCron or HTTP reserves this header; leave it out.";
      errors.push(fieldFailure("HEADER_RESERVED", field, problem, { header }));
    }
    if (seen.has(header.toLowerCase())) {
      const problem = "The header is set twice, because case does not matter; set it once.";
      errors.push(fieldFailure("FIELD_INVALID", field, problem));
    }
    seen.add(header.toLowerCase());
  }
  return errors;
}
