import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { type RequestRow, requestById, requestInsertIfNew } from "./requests.sql.ts";

/** One use of a request id. */
export interface RequestUse {
  readonly projectId: string;
  /** The customer's; empty when the call need not be repeatable. */
  readonly requestId: string;
  /** SHA-256 of what is asked, without the request id. */
  readonly fingerprint: Buffer;
}

/** The fingerprint of a request: equal for equal requests to the same method. */
export function fingerprintOf<D extends DescMessage>(
  schema: D,
  request: MessageShape<D> & { requestId: string },
): Buffer {
  const bytes = toBinary(schema, { ...request, requestId: "" });
  return createHash("sha256").update(schema.typeName).update(bytes).digest();
}

/**
 * The earlier use of this request id, or undefined. Throws REQUEST_ID_REUSED if that was another request.
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
 * Remembers a first use within the transaction of its effect. Returns false when another call was first: its effect
 * is the answer, and this one must be rolled back.
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
