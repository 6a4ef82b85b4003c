import type { Target, WebhookAuth } from "../gen/easycron/v1/target_pb.ts";

/** A place of a target that holds a secret: the customer's text on the way in, and the secret's id, sec_…, inside. */
export interface SecretSlot {
  /** The path of the field in a job, such as `target.webhook.auth.bearer.token`. */
  readonly field: string;
  /**
   * What the secret is for: the URLs to whose origins it, or what is got for it, is sent, and the certificate that a key
   * belongs to.
   */
  readonly isFor: readonly string[];
  /** Returns the text; undefined if the customer has not named the secret. */
  get(): string | undefined;
  set(text: string): void;
  clear(): void;
}

const NONE: readonly SecretSlot[] = [];

/** Returns the places of a target that hold secrets. To set one changes the target. */
export function secretSlots(target: Target | undefined): readonly SecretSlot[] {
  if (target?.kind.case !== "webhook") return NONE;
  const { url, auth, secretHeaders } = target.kind.value;
  const headers = Object.keys(secretHeaders).map((name) => toHeaderSlot(secretHeaders, name, url));
  return auth === undefined ? headers : [...authSlots(auth, url), ...headers];
}

function authSlots({ kind }: WebhookAuth, url: string): readonly SecretSlot[] {
  switch (kind.case) {
    case "bearer":
      return [toSlot(kind.value, "token", "bearer.token", [url])];
    case "basic":
      return [toSlot(kind.value, "password", "basic.password", [url])];
    case "oauth2":
      return [toSlot(kind.value, "clientSecret", "oauth2.clientSecret", [url, kind.value.tokenUrl])];
    case "clientCertificate":
      return [toSlot(kind.value, "key", "clientCertificate.key", [url, kind.value.certificate])];
    case undefined:
      return NONE;
  }
}

// A map has a value for each name, so an empty one stands for a secret that is not named.
function toHeaderSlot(headers: { [name: string]: string }, name: string, url: string): SecretSlot {
  return {
    field: `target.webhook.secretHeaders[${JSON.stringify(name)}]`,
    isFor: [url],
    get: () => headers[name] || undefined,
    set: (text) => {
      headers[name] = text;
    },
    clear: () => {
      headers[name] = "";
    },
  };
}

function toSlot<K extends string>(
  holder: { [P in K]?: string | undefined },
  key: K,
  path: string,
  isFor: readonly string[],
): SecretSlot {
  return {
    field: `target.webhook.auth.${path}`,
    isFor,
    get: () => holder[key],
    set: (text) => {
      holder[key] = text;
    },
    clear: () => {
      delete holder[key];
    },
  };
}

/** Whether a text has the form of a secret's id. */
export function isSecretId(text: string): boolean {
  return /^sec_[0-9a-f]{40}$/.test(text);
}
