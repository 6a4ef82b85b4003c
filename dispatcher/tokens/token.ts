import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";

/** Which attempt a token was made for. */
export interface TokenSubject {
  /** proj_…. */
  readonly projectId: string;
  /** trg_…. */
  readonly triggerId: string;
  /** 1 for the first. */
  readonly attempt: number;
}

/**
 * Returns the token with which the receiver of an attempt acknowledges it: `ack_`, the project's id, the attempt's number,
 * and an HMAC-SHA256 over trigger and attempt. The key belongs to the project, so nothing is stored about a token.
 */
export function makeToken(key: KeyObject, { projectId, triggerId, attempt }: TokenSubject): string {
  return `ack_${projectId}.${attempt}.${sign(key, triggerId, attempt).toString("base64url")}`;
}

/** What a token says of itself. Nobody has checked it. */
export interface ClaimedToken {
  readonly projectId: string;
  readonly attempt: number;
  readonly mac: Buffer;
}

const FORM = /^ack_(proj_[0-9a-z]{1,64})\.([1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/;

/** Takes a token apart. Returns undefined if it does not have the form of one. */
export function parseToken(text: string): ClaimedToken | undefined {
  const [, projectId, attempt, mac] = FORM.exec(text) ?? [];
  if (projectId === undefined || attempt === undefined || mac === undefined) return undefined;
  return { projectId, attempt: Number(attempt), mac: Buffer.from(mac, "base64url") };
}

/** Whether a token was made with this key for an attempt of this trigger. Takes the same time whatever differs. */
export function isGenuine(key: KeyObject, triggerId: string, { attempt, mac }: ClaimedToken): boolean {
  return timingSafeEqual(sign(key, triggerId, attempt), mac);
}

function sign(key: KeyObject, triggerId: string, attempt: number): Buffer {
  return createHmac("sha256", key).update(`${triggerId}\n${attempt}`).digest();
}
