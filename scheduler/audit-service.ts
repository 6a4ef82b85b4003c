import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LedgerDifferenceKind } from "../gen/easycron/v1/ledger_pb.ts";
import type { AuditLedgerRequest, AuditLedgerResponseSchema } from "../gen/easycron/v1/ledger_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import { type AuditParts, auditJob } from "./audit/audit-ledger.ts";
import type { AuditSlots } from "./audit/slots.ts";
import { outOfRetention, readLedgerStart } from "./ledger/floor.ts";
import { readRange } from "./ledger/range.ts";
import { findLedgerJob } from "./ledger/view.ts";

const DAY_MS = 86_400_000;

/**
 * Audits a range of one job's ledger as soon as a slot is free. It stops when `signal` is aborted. Throws JOB_NOT_FOUND,
 * FIELD_INVALID, OUT_OF_RETENTION for a range that begins before the floor of the project, or SERVICE_UNAVAILABLE when too many audits run already.
 */
export async function auditLedger(
  parts: AuditParts,
  slots: AuditSlots,
  projectId: string,
  request: AuditLedgerRequest,
  signal?: AbortSignal,
): Promise<MessageInitShape<typeof AuditLedgerResponseSchema>> {
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const floorMs = await readLedgerStart(parts.database, row);
  const startOf = (endMs: number) => Math.max(endMs - DAY_MS, floorMs);
  const { startMs, endMs } = readRange(request, { nowMs: parts.clock.now(), startOf });
  if (startMs < floorMs) throw outOfRetention("startTime", startMs, floorMs);
  const audit = await slots.run(() => auditJob(parts, row, startMs, endMs, signal));
  if (audit === null) throw failure("JOB_NOT_FOUND", { job: request.job });
  return {
    fireTimeCount: BigInt(audit.fireTimeCount),
    differences: audit.differences.map(({ kind, atMs, detail }) => ({
      kind: LedgerDifferenceKind[kind],
      nominalTime: timestampFromMs(atMs),
      job: row.name,
      detail,
    })),
    auditedUntil: timestampFromMs(audit.untilMs),
  };
}
