import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { LedgerDifferenceKind } from "../gen/easycron/v1/ledger_pb.ts";
import type { AuditLedgerRequest, AuditLedgerResponseSchema } from "../gen/easycron/v1/ledger_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import { auditJob } from "./audit-ledger.ts";
import { findLedgerJob } from "./ledger-view.ts";
import { endBeforeStart } from "./list-fire-times.ts";
import type { Parts } from "./parts.ts";

const DAY_MS = 86_400_000;

/** Audits a range of one job's ledger. Throws JOB_NOT_FOUND or FIELD_INVALID. */
export async function auditLedger(
  parts: Parts,
  projectId: string,
  request: AuditLedgerRequest,
): Promise<MessageInitShape<typeof AuditLedgerResponseSchema>> {
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const endMs = request.endTime === undefined ? parts.clock.now() : timestampMs(request.endTime);
  const startMs = request.startTime === undefined ? endMs - DAY_MS : timestampMs(request.startTime);
  if (endMs < startMs) throw endBeforeStart(startMs, endMs);
  const audit = await auditJob(parts, row, startMs, endMs);
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
