import { type BodyTemplate, parseBodyTemplate } from "../../mesh/body-template.ts";
import type { TokenClient } from "../access-tokens/fetch-token.ts";
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./next-state.ts";
import { type PluginTarget, parsePluginTarget } from "./plugin-target.ts";
import type { SecretHeader } from "./secret-header.ts";

/** A range of HTTP statuses: the first and the last. */
export type StatusRange = readonly [first: number, last: number];

/** The target of a trigger. */
export type SpecTarget =
  | {
      readonly kind: "webhook";
      /** Scheme, host and port. */
      readonly origin: string;
      /** Path and query. */
      readonly path: string;
      readonly method: "POST" | "PUT" | "PATCH";
      /** The customer's headers as a flat list: name in lower case, value, name, value. */
      readonly headers: readonly string[];
      /** Headers with secrets, if there are any. */
      readonly secretHeaders?: readonly SecretHeader[];
      /** Whose access token is sent, if one is. */
      readonly tokenClient?: TokenClient;
      /** The client certificate that is shown, in PEM, and the id of its key, if there is one. */
      readonly clientCertificate?: { readonly certificate: string; readonly secretId: string };
      /** What is sent in place of the document. */
      readonly body?: BodyTemplate;
      /** Default application/json. */
      readonly contentType?: string;
      /** The statuses that are a success; absent where these are 200 to 299. */
      readonly successStatuses?: readonly StatusRange[];
    }
  | PluginTarget
  /** The specification cannot be read. This is an error in EasyCron, and it must not stop other triggers. */
  | { readonly kind: "unreadable"; readonly problem: string };

/** The part of a job's revision that the dispatcher needs. */
export interface Spec {
  readonly target: SpecTarget;
  /** Triggers with the same destination and the same project share a lane. */
  readonly destination: string;
  readonly retryPolicy: RetryPolicy;
  readonly attemptTimeoutMs: number;
  /** How long after a success the trigger waits for its acknowledgement; absent where a success ends the trigger. */
  readonly acknowledgeWithinMs?: number;
  /** The job's payload as JSON text. */
  readonly payload: string;
  /** Whether the job's next trigger may wait for the end of this one (overlap policy BUFFER_ONE or BUFFER_ALL). */
  readonly waitsForEnd: boolean;
  /** The limits that it shares with other jobs of the project; undefined if there are none. */
  readonly flow: SpecFlow | undefined;
  /** Whether the job's triggers are delivered one after the other (ORDERING_PER_JOB). */
  readonly isOrdered: boolean;
}

/** The limits of a job's flow key. */
export interface SpecFlow {
  /** The customer's key: 1 to 63 characters. */
  readonly key: string;
  readonly limits: {
    readonly maxInFlight: number | undefined;
    readonly ratePerSecond: number | undefined;
  };
}

/** A row of scheduler.revisions. */
export interface SpecRow {
  readonly job_uid: string;
  readonly revision: number;
  /** The specification as proto3 JSON text of easycron.v1.Job. */
  readonly spec: string;
}

const DEFAULT_ATTEMPT_TIMEOUT_MS = 30_000;

/**
 * Reads the specification of a row. Never throws: a row that cannot be read gets a target of kind `unreadable`. The
 * payload is the text that the scheduler has stored.
 */
export function toSpec(row: SpecRow): Spec {
  try {
    const spec = toRecord(JSON.parse(row.spec), "the specification");
    const target = parseTarget(spec.target);
    return {
      target,
      destination: target.kind === "webhook" ? target.origin : `plugin ${target.plugin}`,
      retryPolicy: parseRetryPolicy(spec.retryPolicy),
      attemptTimeoutMs: parseDurationMs(spec.attemptTimeout) ?? DEFAULT_ATTEMPT_TIMEOUT_MS,
      payload: payloadOf(spec),
      waitsForEnd: isBuffer(spec.overlapPolicy),
      flow: parseFlow(spec.flow),
      ...parseAcknowledgement(spec.acknowledgement),
      isOrdered: spec.ordering === "ORDERING_PER_JOB",
    };
  } catch (error) {
    return unreadableSpec(error instanceof Error ? error.message : String(error));
  }
}

/** Returns the text of the payload. Revisions of older versions have it as a value. */
function payloadOf({ payloadJson, payload }: Readonly<Record<string, unknown>>): string {
  return payloadJson === undefined ? JSON.stringify(payload ?? null) : toText(payloadJson, "payloadJson");
}

/** Makes the specification that replaces one that cannot be read. */
export function unreadableSpec(problem: string): Spec {
  return {
    target: { kind: "unreadable", problem },
    destination: "unreadable",
    retryPolicy: DEFAULT_RETRY_POLICY,
    attemptTimeoutMs: DEFAULT_ATTEMPT_TIMEOUT_MS,
    payload: "null",
    waitsForEnd: true,
    flow: undefined,
    isOrdered: false,
  };
}

function parseAcknowledgement(value: unknown): { acknowledgeWithinMs?: number } {
  if (value === undefined) return {};
  const acknowledgeWithinMs = parseDurationMs(toRecord(value, "acknowledgement").deadline);
  if (acknowledgeWithinMs === undefined) throw new Error("acknowledgement must have a deadline; it has none");
  return { acknowledgeWithinMs };
}

function isBuffer(overlapPolicy: unknown): boolean {
  return overlapPolicy === "OVERLAP_POLICY_BUFFER_ONE" || overlapPolicy === "OVERLAP_POLICY_BUFFER_ALL";
}

/** Reads a target in proto3 JSON form. Throws an Error that says what is wrong. */
export function parseTarget(value: unknown): Exclude<SpecTarget, { kind: "unreadable" }> {
  const target = toRecord(value, "target");
  if (target.webhook !== undefined) return parseWebhook(toRecord(target.webhook, "target.webhook"));
  if (target.redis !== undefined) return parsePluginTarget("redis", toRecord(target.redis, "target.redis"));
  if (target.kafka !== undefined) return parsePluginTarget("kafka", toRecord(target.kafka, "target.kafka"));
  throw new Error(`target must be webhook, redis or kafka; it has "${Object.keys(target).join(", ")}"`);
}

function parseWebhook(webhook: Readonly<Record<string, unknown>>): SpecTarget & { kind: "webhook" } {
  const url = new URL(toText(webhook.url, "target.webhook.url"));
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error(`target.webhook.url must begin with http: or https:; it begins with ${url.protocol}`);
  const method = webhook.method ?? "POST";
  if (method !== "POST" && method !== "PUT" && method !== "PATCH")
    throw new Error(`target.webhook.method must be POST, PUT or PATCH; it is ${JSON.stringify(method)}`);
  const headers = Object.entries(toRecord(webhook.headers ?? {}, "target.webhook.headers"));
  return {
    kind: "webhook",
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: headers.flatMap(([name, text]) => [name.toLowerCase(), toText(text, "target.webhook.headers")]),
    ...parseSecretHeaders(webhook),
    ...parseBody(webhook),
    ...parseSuccess(webhook.successStatusCodes),
  };
}

function parseBody(webhook: Readonly<Record<string, unknown>>): {
  body?: BodyTemplate;
  contentType?: string;
} {
  const contentType =
    webhook.contentType === undefined ? undefined : toText(webhook.contentType, "target.webhook.contentType");
  const own = contentType === undefined ? {} : { contentType };
  if (webhook.body === undefined) return own;
  const parsed = parseBodyTemplate(toText(webhook.body, "target.webhook.body"), contentType);
  if ("problem" in parsed) throw new Error(`target.webhook.body: ${parsed.problem}`);
  return { ...own, body: parsed.template };
}

function parseSecretHeaders(webhook: Readonly<Record<string, unknown>>): {
  secretHeaders?: SecretHeader[];
  tokenClient?: TokenClient;
  clientCertificate?: { certificate: string; secretId: string };
} {
  const { secretHeaders } = webhook;
  if (webhook.auth === undefined && secretHeaders === undefined) return {};
  const own = Object.entries(toRecord(secretHeaders ?? {}, "target.webhook.secretHeaders"));
  const auth = webhook.auth === undefined ? undefined : toRecord(webhook.auth, "target.webhook.auth");
  const hasToken = auth?.oauth2 !== undefined;
  const hasCertificate = auth?.clientCertificate !== undefined;
  return {
    ...(hasCertificate && { clientCertificate: parseCertificate(auth.clientCertificate) }),
    ...(hasToken && { tokenClient: parseTokenClient(toRecord(auth.oauth2, "target.webhook.auth.oauth2")) }),
    secretHeaders: [
      ...(auth === undefined || hasToken || hasCertificate ? [] : [parseAuth(auth)]),
      ...own.map(([name, id]): SecretHeader => {
        const secretId = toText(id, "target.webhook.secretHeaders");
        return { kind: "own", name: name.toLowerCase(), secretId };
      }),
    ],
  };
}

function parseAuth({ bearer, basic }: Readonly<Record<string, unknown>>): SecretHeader {
  if (bearer !== undefined) {
    const { token } = toRecord(bearer, "target.webhook.auth.bearer");
    return { kind: "bearer", secretId: toText(token, "target.webhook.auth.bearer.token") };
  }
  const { username, password } = toRecord(basic, "target.webhook.auth.basic");
  return {
    kind: "basic",
    username: toText(username, "target.webhook.auth.basic.username"),
    secretId: toText(password, "target.webhook.auth.basic.password"),
  };
}

function parseCertificate(value: unknown): { certificate: string; secretId: string } {
  const path = "target.webhook.auth.clientCertificate";
  const { certificate, key } = toRecord(value, path);
  return { certificate: toText(certificate, `${path}.certificate`), secretId: toText(key, `${path}.key`) };
}

function parseTokenClient({
  tokenUrl,
  clientId,
  clientSecret,
  scopes,
}: Readonly<Record<string, unknown>>): TokenClient {
  const path = "target.webhook.auth.oauth2";
  const url = new URL(toText(tokenUrl, `${path}.tokenUrl`));
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    clientId: toText(clientId, `${path}.clientId`),
    secretId: toText(clientSecret, `${path}.clientSecret`),
    scopes: toList(scopes, `${path}.scopes`).map((scope) => toText(scope, `${path}.scopes`)),
  };
}

function parseSuccess(value: unknown): { readonly successStatuses?: readonly StatusRange[] } {
  const path = "target.webhook.successStatusCodes";
  const ranges = toList(value, path).map((item): StatusRange => {
    const match = /^(\d{3})(?:-(\d{3}))?$/.exec(toText(item, path));
    if (match === null) throw new Error(`${path} must have statuses, such as "200-299"; it has "${item}"`);
    return [Number(match[1]), Number(match[2] ?? match[1])];
  });
  return ranges.length === 0 ? {} : { successStatuses: ranges };
}

function parseRetryPolicy(value: unknown): RetryPolicy {
  const policy = toRecord(value ?? {}, "retryPolicy");
  const { maxAttempts } = policy;
  return {
    maxAttempts: typeof maxAttempts === "number" ? maxAttempts : DEFAULT_RETRY_POLICY.maxAttempts,
    minBackoffMs: parseDurationMs(policy.minBackoff) ?? DEFAULT_RETRY_POLICY.minBackoffMs,
    maxBackoffMs: parseDurationMs(policy.maxBackoff) ?? DEFAULT_RETRY_POLICY.maxBackoffMs,
    maxAgeMs: parseDurationMs(policy.maxAge) ?? DEFAULT_RETRY_POLICY.maxAgeMs,
    multiplier: typeof policy.multiplier === "number" ? policy.multiplier : DEFAULT_RETRY_POLICY.multiplier,
    delaysMs: toList(policy.delays, "retryPolicy.delays").map((delay) => parseDurationMs(delay) ?? 0),
    nonRetryableStatusCodes: toList(
      policy.nonRetryableStatusCodes,
      "retryPolicy.nonRetryableStatusCodes",
    ).map(Number),
    giveUpAtNextFireTime: policy.giveUpAtNextFireTime === true,
  };
}

function parseFlow(value: unknown): SpecFlow | undefined {
  if (value === undefined) return undefined;
  const { key, maxInFlight, ratePerSecond } = toRecord(value, "flow");
  const limits = { maxInFlight: toLimit(maxInFlight), ratePerSecond: toLimit(ratePerSecond) };
  return { key: toText(key, "flow.key"), limits };
}

function toLimit(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 ? value : undefined;
}

function toList(value: unknown, path: string): readonly unknown[] {
  if (value === undefined) return NONE;
  if (!Array.isArray(value)) throw new Error(`${path} must be a list; its type is ${typeof value}`);
  return value;
}

const NONE: readonly unknown[] = [];

/** Reads the proto3 JSON form of a duration, such as "1.5s"; undefined when there is none. */
function parseDurationMs(value: unknown): number | undefined {
  if (value === null || value === undefined) return undefined;
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(toText(value, "a duration"))?.[1];
  if (seconds === undefined)
    throw new Error(`a duration must be seconds with an "s", such as "1.5s"; it is "${String(value)}"`);
  return Math.round(Number(seconds) * 1_000);
}

function toRecord(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`${path} must be an object; its type is ${typeof value}`);
  return value as Readonly<Record<string, unknown>>;
}

function toText(value: unknown, path: string): string {
  if (typeof value !== "string") throw new Error(`${path} must be a string; its type is ${typeof value}`);
  return value;
}
