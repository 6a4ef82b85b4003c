import type { KeyObject } from "node:crypto";
import type { Clock } from "../../mesh/clock.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { pause } from "../../mesh/pause.ts";
import type { AccessTokens } from "../access-tokens/access-tokens.ts";
import { TokenFailed } from "../access-tokens/token-failed.ts";
import { MissingMasterKeyError } from "../signing-keys/master-keys.ts";
import type { SigningKeys } from "../signing-keys/signing-keys.ts";
import type { SecretKey, TargetSecrets } from "../target-secrets/target-secrets.ts";
import { type AcknowledgementParts, makeAcknowledgementHeaders } from "./acknowledgement-headers.ts";
import { type CertificateAgents, UnusableCertificate } from "./certificate-agents.ts";
import type { Delivery } from "./outcome.ts";
import type { PluginDelivery } from "./plugin-delivery.ts";
import { type SecretHeader, toHeader } from "./secret-header.ts";
import type { StartedAttempt } from "./started-attempt.ts";
import { deliverWebhook, type WebhookParts } from "./webhook.ts";

/** What making an attempt needs. */
export interface AttemptParts {
  readonly webhook: WebhookParts;
  readonly certificates: CertificateAgents;
  readonly plugins: PluginDelivery;
  readonly signingKeys: SigningKeys;
  readonly targetSecrets: TargetSecrets;
  readonly accessTokens: AccessTokens;
  readonly acknowledgement: AcknowledgementParts;
  /** Called when the secret of a target cannot be read. */
  readonly onTrouble: (error: unknown) => void;
  readonly clock: Clock;
  /** Whether this process still owns the triggers that it holds. */
  readonly isOwner: () => boolean;
}

/** Makes one attempt at a target of any kind. Never rejects for what the target does. */
export function makeAttempt(parts: AttemptParts, attempt: StartedAttempt): Promise<Delivery> {
  const { spec, trigger } = attempt;
  if (spec.target.kind === "unreadable") {
    const error = "The job's specification cannot be read; this is an error in EasyCron.";
    return Promise.resolve(notSent(error, new Error(spec.target.problem)));
  }
  const keys = parts.signingKeys.get(trigger.projectId, attempt.startTimeMs);
  const isOpen =
    spec.target.kind !== "webhook" ||
    (spec.target.secretHeaders === undefined && spec.acknowledgeWithinMs === undefined);
  if (keys !== undefined && isOpen) return signed(parts, attempt, keys);
  return signedAfterLoading(parts, attempt);
}

function signed(
  parts: AttemptParts,
  attempt: StartedAttempt,
  keys: readonly KeyObject[],
  secretHeaders?: readonly string[],
): Promise<Delivery> {
  const { target } = attempt.spec;
  if (keys.length === 0) {
    return Promise.resolve(
      notSent("The project has no usable signing key; create one with CreateSigningKey."),
    );
  }
  switch (target.kind) {
    case "webhook":
      return deliverWebhook(parts.webhook, { ...attempt, target, keys, secretHeaders });
    case "plugin":
      return parts.plugins.deliver({ ...attempt, target, keys });
    case "unreadable":
      throw new Error(`An unreadable target cannot be delivered to: ${target.problem}`);
  }
}

/**
 * Makes the attempt when its secrets are loaded. If the target refuses its access token with 401, the request is sent once
 * more with another token, as a part of this attempt: the token may have been revoked, or be older than its keys.
 */
async function signedAfterLoading(parts: AttemptParts, attempt: StartedAttempt): Promise<Delivery> {
  const { target } = attempt.spec;
  const tokenClient = target.kind === "webhook" ? target.tokenClient : undefined;
  if (tokenClient === undefined) return signedWithSecrets(parts, attempt, []);
  const { projectId } = attempt.trigger;
  const key = { projectId, client: tokenClient };
  const readSecret = () => openSecret(parts, { projectId, id: tokenClient.secretId });
  const send = (token: string) =>
    signedWithSecrets(parts, attempt, toHeader({ kind: "bearer", secretId: "" }, token));
  let token: string;
  try {
    token = await parts.accessTokens.get(key, readSecret);
  } catch (error) {
    if (error instanceof TokenFailed) return notSent(`No access token. ${error.message}`, error);
    return noSecret(parts, error);
  }
  const delivery = await send(token);
  const { outcome } = delivery;
  if (outcome.kind !== "REJECTED" || outcome.statusCode !== 401 || outcome.isFinal) return delivery;
  const other = await parts.accessTokens.replace(key, token, readSecret).catch(() => undefined);
  if (other === undefined) return delivery;
  const repeated = await send(other);
  // The first request has reached the target, whatever keeps the second back: the end of the lease, for example.
  return repeated.outcome.kind === "NOT_SENT" ? delivery : repeated;
}

function noSecret({ onTrouble, isOwner }: AttemptParts, error: unknown): Delivery {
  onTrouble(error);
  if (!isOwner()) return notSent(TAKEN_OVER);
  return notSent("A secret of the target cannot be read; this is an error in EasyCron.", error);
}

// Loading the keys and the secret may take long. So the timestamp is taken again when it is done, and the attempt is not
// sent if another dispatcher has taken over the trigger meanwhile.
async function signedWithSecrets(
  parts: AttemptParts,
  attempt: StartedAttempt,
  tokenHeader: readonly string[],
): Promise<Delivery> {
  const { projectId } = attempt.trigger;
  const { target } = attempt.spec;
  let secretHeaders: string[] = [];
  let privateKey = "";
  if (target.kind === "webhook") {
    try {
      secretHeaders = [
        ...tokenHeader,
        ...(await openHeaders(parts, projectId, target.secretHeaders ?? [])),
        ...(await acknowledgementHeaders(parts, attempt)),
      ];
      if (target.clientCertificate !== undefined)
        privateKey = await openSecret(parts, { projectId, id: target.clientCertificate.secretId });
    } catch (error) {
      return noSecret(parts, error);
    }
  }
  const keys = await loadKeys(parts, projectId);
  if (!parts.isOwner()) return notSent(TAKEN_OVER);
  const startTimeMs = parts.clock.now();
  const send = (by: AttemptParts) => signed(by, { ...attempt, startTimeMs }, keys, secretHeaders);
  if (target.kind !== "webhook" || target.clientCertificate === undefined) return send(parts);
  const key = { projectId, origin: target.origin, ...target.clientCertificate };
  return parts.certificates
    .use(key, privateKey, (agents) => send({ ...parts, webhook: { ...parts.webhook, ...agents } }))
    .catch((error: unknown) => {
      if (!(error instanceof UnusableCertificate)) throw error;
      return notSent("The client certificate and its key cannot be used; give both again.", error);
    });
}

const TAKEN_OVER =
  "The attempt was not sent, because another dispatcher takes over this trigger and makes the attempt.";
const LOAD_PAUSE_MS = 100;
/** How often keys and secrets are tried at most without their master key: for about 30 s, much longer than a lease lasts. */
const MAX_WITHOUT_MASTER_KEY = 300;

// Without the database nobody knows whether there are newer keys, or whether one was revoked. So the attempt waits until
// the keys can be read. A dispatcher whose master key was replaced loses its lease soon, and others make the attempt.
async function loadKeys(
  { signingKeys, clock, isOwner }: Pick<AttemptParts, "signingKeys" | "clock" | "isOwner">,
  projectId: string,
): Promise<readonly KeyObject[]> {
  for (let tries = 0; tries < MAX_WITHOUT_MASTER_KEY; ) {
    const keys = signingKeys.get(projectId, clock.now());
    if (keys !== undefined) return keys;
    try {
      await signingKeys.load([projectId]);
    } catch (error) {
      if (error instanceof MissingMasterKeyError) {
        if (!isOwner()) return [];
        tries += 1;
      }
      await pause(LOAD_PAUSE_MS);
    }
  }
  return [];
}

async function openHeaders(
  parts: Pick<AttemptParts, "targetSecrets" | "isOwner">,
  projectId: string,
  headers: readonly SecretHeader[],
): Promise<string[]> {
  // At the same time, so that they share a statement.
  const opened = await Promise.all(
    headers.map(async (header) =>
      toHeader(header, await openSecret(parts, { projectId, id: header.secretId })),
    ),
  );
  return opened.flat();
}

/** The headers with which the receiver can acknowledge this attempt; none if the job wants no acknowledgement. */
async function acknowledgementHeaders(
  { acknowledgement, isOwner }: Pick<AttemptParts, "acknowledgement" | "isOwner">,
  { spec, trigger, number }: StartedAttempt,
): Promise<readonly string[]> {
  if (spec.acknowledgeWithinMs === undefined) return [];
  const { tokenKeys } = acknowledgement;
  const { projectId } = trigger;
  const key = await whileAway(
    isOwner,
    async () => tokenKeys.get(projectId) ?? (await tokenKeys.load(projectId)),
  );
  const subject = { projectId, triggerId: trigger.id, attempt: number };
  return makeAcknowledgementHeaders(acknowledgement, key, subject);
}

// Throws if there is no such secret, or it cannot be decrypted.
function openSecret(
  { targetSecrets, isOwner }: Pick<AttemptParts, "targetSecrets" | "isOwner">,
  key: SecretKey,
): Promise<string> {
  return whileAway(isOwner, async () => targetSecrets.get(key) ?? (await targetSecrets.load(key)));
}

/** Waits for the database and for the master key like `loadKeys`, as long as this process owns the trigger. */
async function whileAway<T>(isOwner: () => boolean, read: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; ) {
    try {
      return await read();
    } catch (error) {
      const isKeyMissing = error instanceof MissingMasterKeyError;
      const isAway = error instanceof EasyCronError && error.reason === "SERVICE_UNAVAILABLE";
      if (isKeyMissing) tries += 1;
      if (!(isAway || isKeyMissing) || tries >= MAX_WITHOUT_MASTER_KEY || !isOwner()) throw error;
      await pause(LOAD_PAUSE_MS);
    }
  }
}

function notSent(error: string, cause?: unknown): Delivery {
  return { outcome: { kind: "NOT_SENT", isUntried: true }, error, responseBody: "", cause };
}
