import type { Target } from "../gen/easycron/v1/target_pb.ts";

/** A place of a target that holds a secret: the customer's text on the way in, and the secret's id, sec_…, inside. */
export interface SecretSlot {
  /** The path of the field in a job, such as `target.webhook.auth.bearer.token`. */
  readonly field: string;
  /** Returns the text; undefined if the customer has not named the secret. */
  get(): string | undefined;
  set(text: string): void;
  clear(): void;
}

const NONE: readonly SecretSlot[] = [];

/** Returns the places of a target that hold secrets. To set one changes the target. */
export function secretSlots(target: Target | undefined): readonly SecretSlot[] {
  if (target?.kind.case !== "webhook") return NONE;
  const { auth, secretHeaders } = target.kind.value;
  const headers = Object.keys(secretHeaders).map((name) => toHeaderSlot(secretHeaders, name));
  if (auth?.kind.case === "bearer") return [toSlot(auth.kind.value, "token", "bearer.token"), ...headers];
  if (auth?.kind.case === "basic") return [toSlot(auth.kind.value, "password", "basic.password"), ...headers];
  return headers;
}

// A map has a value for each name, so an empty one stands for a secret that is not named.
function toHeaderSlot(headers: { [name: string]: string }, name: string): SecretSlot {
  return {
    field: `target.webhook.secretHeaders[${JSON.stringify(name)}]`,
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
): SecretSlot {
  return {
    field: `target.webhook.auth.${path}`,
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
