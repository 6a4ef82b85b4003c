import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Seen } from "../../db/internal-redis/seen.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { type RequestRow, requestById, requestInsertIfNew } from "./requests.sql.ts";

/** One use of a request id. */
export interface RequestUse {
  readonly projectId: string;
  /** The customer's request id; empty when the customer gave none. */
  readonly requestId: string;
  /** SHA-256 of the request without its request id; empty when there is no request id. */
  readonly fingerprint: Buffer;
}

const NONE = Buffer.alloc(0);

/**
 * Returns the fingerprint of a request. Two requests have the same one if method and content are equal. A request without
 * a request id gets an empty one: nobody compares it, and for a batch it takes as long as to read the request.
 */
export function fingerprintOf<D extends DescMessage>(
  schema: D,
  request: MessageShape<D> & { requestId: string },
): Buffer {
  if (request.requestId === "") return NONE;
  const bytes = toBinary(schema, { ...request, requestId: "" });
  return createHash("sha256").update(schema.typeName).update(bytes).digest();
}

/** Tells whether a request id was used lately, as far as is known: only then is it worth a look before anything else. */
export async function isSeen(seen: Seen | undefined, { projectId, requestId }: RequestUse): Promise<boolean> {
  return requestId !== "" && seen !== undefined && seen.has(["request", projectId, requestId]);
}

/** Notes that a request id was used. */
export function noteUse(seen: Seen | undefined, { projectId, requestId }: RequestUse): void {
  if (requestId !== "") seen?.note(["request", projectId, requestId]);
}

/**
 * Finds the earlier use of a request id; undefined if there is none. Throws REQUEST_ID_REUSED if the earlier use was a
 * different request.
 */
export async function findEarlierUse(on: Queryable, use: RequestUse): Promise<RequestRow | undefined> {
  if (use.requestId === "") return undefined;
  const [row] = await on.query(requestById, [use.projectId, use.requestId]);
  if (row !== undefined && !row.fingerprint.equals(use.fingerprint)) {
    throw failure("REQUEST_ID_REUSED", { requestId: use.requestId });
  }
  return row;
}

/**
 * Records the first use of a request id, in the transaction that carries out the request. Returns false when another
 * call with the same request id was first. The caller must then roll back and answer with the effect of that call.
 */
export async function rememberUse(
  tx: Queryable,
  use: RequestUse,
  effect: {
    readonly jobUid: string;
    readonly fireTimeMs?: number;
    readonly operationUid?: string;
    readonly nowMs: number;
  },
): Promise<boolean> {
  if (use.requestId === "") return true;
  const rows = await tx.query(requestInsertIfNew, [
    use.projectId,
    use.requestId,
    use.fingerprint,
    effect.jobUid,
    toSqlTimeOrNull(effect.fireTimeMs),
    toSqlTime(effect.nowMs),
    effect.operationUid ?? null,
  ]);
  return rows.length === 1;
}
