import type { KeyObject } from "node:crypto";
import { typeid } from "typeid-js";
import type { Database, Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { failure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { dataKeyBoundWaits, dataKeyNoteChange } from "./data-keys.sql.ts";
import { lockDataKey } from "./data-keys.ts";
import type { MasterKeys } from "./master-keys.ts";
import {
  type SigningKeyRow,
  signingKeyById,
  signingKeyExpire,
  signingKeyInsert,
  signingKeyRevoke,
  signingKeysForget,
  signingKeysLive,
} from "./signing-keys.sql.ts";
import { MAX_STALE_MS } from "./signing-keys.ts";
import { type Algorithm, createSecret, sealSecret } from "./signing-secret.ts";

/** Most active keys of a project. Each makes the header of every attempt longer. */
export const MAX_SIGNING_KEYS = 5;
/** Most active keys of a project for ed25519: each signature takes much longer than one of HMAC, and all others wait for it. */
export const MAX_ED25519_KEYS = 2;
/** Most keys of a project that are kept although they sign no more. */
const MAX_ENDED_KEYS = 100;
// The 5 ms are for timers, which may fire 1 ms early.
const KNOWN_EVERYWHERE_MS = MAX_STALE_MS + 5;

/** What changing keys needs. */
export interface ChangeKeysParts {
  readonly database: Database;
  readonly masterKeys: MasterKeys;
  readonly clock: Clock;
  /** Resolves after so many milliseconds. */
  readonly pause: (ms: number) => Promise<unknown>;
}

/** A new key with its secret. */
export interface NewSigningKey {
  readonly key: SigningKeyRow;
  /** `whsec_…`; empty for ed25519. */
  readonly secret: string;
}

/**
 * Creates a key of a project, and returns when every dispatcher signs with it. Throws SIGNING_KEY_LIMIT_REACHED and
 * SERVICE_UNAVAILABLE.
 */
export async function createSigningKey(
  parts: ChangeKeysParts,
  projectId: string,
  algorithm: Algorithm,
): Promise<NewSigningKey> {
  return change(parts, projectId, async (tx, dataKey) => {
    const time = toSqlTime(parts.clock.now());
    const live = await tx.query(signingKeysLive, [projectId, time]);
    refuseTooMany(live, algorithm);
    return await addKey(tx, dataKey, { projectId, algorithm, time });
  });
}

/**
 * Creates a key that replaces another one, which signs, too, for `overlapMs`. Returns both when every dispatcher signs
 * with the new one. Throws SIGNING_KEY_NOT_FOUND, SIGNING_KEY_ENDED, SIGNING_KEY_LIMIT_REACHED and SERVICE_UNAVAILABLE.
 */
export async function rotateSigningKey(
  parts: ChangeKeysParts,
  projectId: string,
  { id, overlapMs }: { readonly id: string; readonly overlapMs: number },
): Promise<NewSigningKey & { readonly old: SigningKeyRow }> {
  return change(parts, projectId, async (tx, dataKey) => {
    const { algorithm, ...known } = await findKey(tx, projectId, id);
    const nowMs = parts.clock.now();
    const problem = describeEnd(known, nowMs);
    if (problem !== undefined) throw failure("SIGNING_KEY_ENDED", { id, problem });
    const [old] = await tx.query(signingKeyExpire, [projectId, id, toSqlTime(nowMs + overlapMs)]);
    if (old === undefined) throw notFound(id);
    const time = toSqlTime(nowMs);
    const live = await tx.query(signingKeysLive, [projectId, time]);
    refuseTooMany(live, algorithm);
    return { ...(await addKey(tx, dataKey, { projectId, algorithm, time })), old };
  });
}

/**
 * Revokes a key, and returns it when no dispatcher signs with it. A key that is revoked already stays as it is. Throws
 * SIGNING_KEY_NOT_FOUND, SIGNING_KEY_REQUIRED and SERVICE_UNAVAILABLE.
 */
export async function revokeSigningKey(
  parts: ChangeKeysParts,
  projectId: string,
  id: string,
): Promise<SigningKeyRow> {
  return change(parts, projectId, async (tx) => {
    const known = await findKey(tx, projectId, id);
    if (known.revoke_time !== null) return known;
    const time = toSqlTime(parts.clock.now());
    const live = await tx.query(signingKeysLive, [projectId, time]);
    const isLive = live.some((key) => key.id === id);
    const hasOther = live.some((key) => key.id !== id && key.expire_time === null);
    if (isLive && !hasOther) throw failure("SIGNING_KEY_REQUIRED", { id });
    const [revoked] = await tx.query(signingKeyRevoke, [projectId, id, time]);
    if (revoked === undefined) throw notFound(id);
    return revoked;
  });
}

/**
 * Runs a change of a project's keys; changes of one project take turns. Returns when every dispatcher knows of it: each
 * signs only with keys that were complete within the last MAX_STALE_MS.
 */
async function change<T>(
  { database, masterKeys, pause }: ChangeKeysParts,
  projectId: string,
  work: (tx: Queryable, dataKey: KeyObject) => Promise<T>,
): Promise<T> {
  const result = await database.transaction(async (tx) => {
    await tx.query(dataKeyBoundWaits);
    const done = await work(tx, await lockDataKey(tx, masterKeys, projectId));
    await tx.query(dataKeyNoteChange, [projectId]);
    return done;
  });
  await pause(KNOWN_EVERYWHERE_MS);
  return result;
}

async function addKey(
  tx: Queryable,
  dataKey: KeyObject,
  {
    projectId,
    algorithm,
    time,
  }: { readonly projectId: string; readonly algorithm: Algorithm; readonly time: string },
): Promise<NewSigningKey> {
  const id = typeid("sk").toString();
  const { bytes, shown, publicKey } = createSecret(algorithm);
  const sealed = sealSecret(dataKey, { projectId, id, algorithm }, bytes);
  const [key] = await tx.query(signingKeyInsert, [id, projectId, algorithm, publicKey, sealed, time]);
  if (key === undefined) throw new Error(`The signing key ${id} was not added.`);
  await tx.query(signingKeysForget, [projectId, time, MAX_ENDED_KEYS]);
  return { key, secret: shown };
}

async function findKey(tx: Queryable, projectId: string, id: string): Promise<SigningKeyRow> {
  const [known] = await tx.query(signingKeyById, [projectId, id]);
  if (known === undefined) throw notFound(id);
  return known;
}

function describeEnd(
  { expire_time, revoke_time }: Pick<SigningKeyRow, "expire_time" | "revoke_time">,
  nowMs: number,
): string | undefined {
  if (revoke_time !== null) return `it was revoked at ${toIso(revoke_time)}.`;
  if (expire_time !== null && expire_time <= nowMs) return `it expired at ${toIso(expire_time)}.`;
  return undefined;
}

function refuseTooMany(live: readonly { readonly algorithm: Algorithm }[], algorithm: Algorithm): void {
  const refuse = (count: number, kind: string) => {
    throw failure("SIGNING_KEY_LIMIT_REACHED", { count: String(count), kind });
  };
  if (live.length >= MAX_SIGNING_KEYS) refuse(live.length, "signing");
  if (algorithm !== "ED25519") return;
  const alike = live.filter((key) => key.algorithm === algorithm).length;
  if (alike >= MAX_ED25519_KEYS) refuse(alike, "ed25519");
}

function notFound(id: string): Error {
  return failure("SIGNING_KEY_NOT_FOUND", { id });
}
