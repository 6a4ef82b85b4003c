import type { Alerts } from "../../gen/easycron/v1/alert_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { OAuth2Auth, Target, WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import { findBodyProblem } from "../../mesh/body-template.ts";
import type { AllowList, DenyList } from "../../mesh/egress-address.ts";
import { checkUrl } from "../../mesh/egress-url.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import type { JobPlugins } from "../plugins/job-plugins.ts";
import { alertErrors } from "./alert-rules.ts";
import { certificateErrors } from "./certificate-rules.ts";
import { payloadErrors } from "./payload-rules.ts";
import { kafkaTargetErrors, redisTargetErrors } from "./plugin-target-rules.ts";
import { isReservedHeader } from "./reserved-headers.ts";

/** What a job is checked against, besides the rules in its proto. */
export interface JobRules {
  /** Address ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
  /** What webhooks never call. Default: nothing is denied. */
  readonly deny?: DenyList | undefined;
  /** The project's plugins. Needed only for a job that has one as target. */
  readonly plugins: JobPlugins;
}

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
  const alerts = alertErrors(job.alerts, (webhook, at) => webhookErrors(webhook, rules, at));
  return [...nameErrors(job), ...target, ...alerts, ...payloadErrors(job, "job.payload")];
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
  if (isWritten("alerts"))
    errors.push(...alertErrors(job.alerts, (webhook, at) => webhookErrors(webhook, rules, at)));
  return isWritten("payload") || isWritten("payload_json")
    ? [...errors, ...payloadErrors(job, "job.payload")]
    : errors;
}

function nameErrors(job: Job): EasyCronError[] {
  return job.name === "" ? [fieldFailure("FIELD_INVALID", "job.name", NAME_REQUIRED)] : [];
}

function targetErrors({ kind }: Target, rules: JobRules): EasyCronError[] {
  if (kind.case === undefined)
    return [fieldFailure("FIELD_INVALID", "job.target", "Exactly one of webhook, redis, kafka must be set.")];
  if (kind.case === "webhook") return webhookErrors(kind.value, rules, "job.target.webhook");
  const field = `job.target.${kind.case}`;
  const errors =
    kind.case === "redis" ? redisTargetErrors(kind.value, field) : kafkaTargetErrors(kind.value, field);
  return [...pluginErrors(kind.case, rules), ...errors];
}

function pluginErrors(plugin: "redis" | "kafka", { plugins }: JobRules): EasyCronError[] {
  const found = plugins[plugin];
  if (found?.isUsable === true) return [];
  const state = found === undefined ? "not enabled" : `${found.state}, not ENABLED,`;
  const problem = `The ${plugin} plugin is ${state} for this project; call EnablePlugin, or use another target.`;
  return [fieldFailure("PLUGIN_NOT_ENABLED", `job.target.${plugin}`, problem, { plugin })];
}

/** Checks the alerts of a project as those of a job are checked; the paths begin with `project.alerts`. */
export function projectAlertErrors(
  alerts: Alerts | undefined,
  rules: Pick<JobRules, "allow" | "deny">,
): EasyCronError[] {
  return alertErrors(alerts, (webhook, at) => webhookErrors(webhook, rules, at), "project");
}

function webhookErrors(
  webhook: WebhookTarget,
  rules: Pick<JobRules, "allow" | "deny">,
  at: string,
): EasyCronError[] {
  const errors: EasyCronError[] = [];
  const verdict = checkUrl(webhook.url, rules.allow, rules.deny);
  if ("problem" in verdict)
    errors.push(fieldFailure(verdict.problem, `${at}.url`, verdict.why, { value: webhook.url }));
  const { auth } = webhook;
  if (auth?.kind.case === "oauth2") errors.push(...tokenUrlErrors(auth.kind.value, rules, at));
  if (auth?.kind.case === "clientCertificate")
    errors.push(...certificateErrors(webhook, auth.kind.value, Date.now(), at));
  errors.push(...bodyErrors(webhook, at));
  return [...errors, ...headerErrors(webhook, at)];
}

function tokenUrlErrors(
  { tokenUrl }: OAuth2Auth,
  { allow, deny }: Pick<JobRules, "allow" | "deny">,
  at: string,
): EasyCronError[] {
  const verdict = checkUrl(tokenUrl, allow, deny);
  if (!("problem" in verdict)) return [];
  const field = `${at}.auth.oauth2.tokenUrl`;
  return [fieldFailure(verdict.problem, field, verdict.why, { value: tokenUrl })];
}

function headerErrors({ headers, secretHeaders, auth }: WebhookTarget, at: string): EasyCronError[] {
  const errors: EasyCronError[] = [];
  const seen = new Set<string>();
  const names = (list: string, of: object) => Object.keys(of).map((header) => ({ list, header }));
  for (const { list, header } of [...names("headers", headers), ...names("secretHeaders", secretHeaders)]) {
    const field = `${at}.${list}[${JSON.stringify(header)}]`;
    const lower = header.toLowerCase();
    if (isReservedHeader(header)) {
      const problem = "EasyCron or HTTP reserves this header; leave it out.";
      errors.push(fieldFailure("HEADER_RESERVED", field, problem, { header }));
    }
    if (seen.has(lower)) {
      const problem = "The header is set twice, because case does not matter; set it once.";
      errors.push(fieldFailure("FIELD_INVALID", field, problem));
    }
    if (auth !== undefined && auth.kind.case !== "clientCertificate" && lower === "authorization") {
      const problem = "target.webhook.auth sets this header; leave out one of the two.";
      errors.push(fieldFailure("FIELD_INVALID", field, problem));
    }
    seen.add(lower);
  }
  return errors;
}

function bodyErrors({ body, contentType }: WebhookTarget, at: string): EasyCronError[] {
  if (body === "") return [];
  const problem = findBodyProblem(body, contentType === "" ? undefined : contentType);
  return problem === undefined ? [] : [fieldFailure("FIELD_INVALID", `${at}.body`, problem)];
}
