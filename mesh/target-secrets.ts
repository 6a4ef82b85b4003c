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
  const auth = target?.kind.case === "webhook" ? target.kind.value.auth?.kind : undefined;
  if (auth?.case === "bearer") return [toSlot(auth.value, "token", "bearer.token")];
  if (auth?.case === "basic") return [toSlot(auth.value, "password", "basic.password")];
  return NONE;
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
