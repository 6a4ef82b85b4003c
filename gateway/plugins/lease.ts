import { randomUUID } from "node:crypto";
import type { Queryable, SqlValue } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import { type EasyCronError, failure } from "../../mesh/errors.ts";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { pause } from "../../mesh/pause.ts";
import type { KindName } from "./kinds.ts";
import type { PluginParts } from "./parts.ts";
import { type PluginRow, pluginTakeIfFree } from "./plugins.sql.ts";

/*
 * One piece of work at a time changes a plugin. No lock and no transaction lasts over a call to another service: a row has a
 * lease instead, which ends by itself when its owner dies. Work stops before its lease ends.
 */

/** How long a lease lasts, in milliseconds. */
export const LEASE_MS = 8_000;
/** How long the work under a lease may take, in milliseconds. */
export const WORK_MS = 7_000;
/** How long a call waits for a lease, in milliseconds. With its work, a call takes less than the 10 s of an inner call. */
const WAIT_MS = 2_500;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 200;
const PLUGIN_BUSY_MS = 1_000;

/** The right to work on one plugin. */
export interface Lease {
  readonly projectId: string;
  readonly kind: KindName;
  readonly owner: string;
  /** What was written or read last. */
  row: PluginRow;
  /** Whether something has been changed. Then a failure is written into the row, and the loop goes on. */
  hasBegun: boolean;
  /** Ends the work before the lease ends. */
  readonly signal: AbortSignal;
  readonly traceparent?: string | undefined;
}

/** Creates an owner of leases. */
export function newOwner(): string {
  return randomUUID();
}

/** Makes the lease of a row that was taken for an owner. */
export function toLease(row: PluginRow, owner: string, options: CallOptions = {}): Lease {
  const inTime = AbortSignal.timeout(WORK_MS);
  const signal = options.signal === undefined ? inTime : AbortSignal.any([inTime, options.signal]);
  const { traceparent } = options;
  return { projectId: row.project_id, kind: row.kind, owner, row, hasBegun: false, signal, traceparent };
}

/**
 * Takes the lease of a plugin that exists. Waits for it up to 2.5 s. Throws SERVICE_UNAVAILABLE if other work on the plugin
 * does not end by then, and CANCELLED if the caller has gone.
 */
export async function takeLease(
  parts: Pick<PluginParts, "database">,
  { projectId, kind }: { readonly projectId: string; readonly kind: KindName },
  options: CallOptions,
): Promise<Lease> {
  const owner = newOwner();
  const endMs = performance.now() + WAIT_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    if (options.signal?.aborted) throw failure("CANCELLED");
    const [row] = await parts.database.query(pluginTakeIfFree, [projectId, kind, owner, LEASE_MS]);
    if (row !== undefined) return toLease(row, owner, options);
    if (performance.now() + pauseMs > endMs) throw busy();
    await pause(pauseMs);
  }
}

/**
 * Runs a statement whose first values are project, kind and owner. Throws SERVICE_UNAVAILABLE if the lease has ended and
 * somebody else works on the plugin.
 */
export async function writeUnder<Row>(
  database: Queryable,
  lease: Pick<Lease, "projectId" | "kind" | "owner">,
  statement: Statement<Row>,
  values: readonly SqlValue[] = [],
): Promise<Row> {
  const [row] = await database.query(statement, [lease.projectId, lease.kind, lease.owner, ...values]);
  if (row === undefined) throw busy();
  return row;
}

/** Returns the options of a call to another service under a lease. */
export function toInnerOptions({ signal, traceparent }: Pick<Lease, "signal" | "traceparent">): CallOptions {
  return { signal, traceparent, deadlineMs: WORK_MS };
}

function busy(): EasyCronError {
  return failure("SERVICE_UNAVAILABLE", { service: "plugin" }, { retryAfterMs: PLUGIN_BUSY_MS });
}
