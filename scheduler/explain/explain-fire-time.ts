import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { toSqlTime } from "../../db/time.ts";
import { Verdict as VerdictCode, VerdictReason } from "../../gen/easycron/v1/ledger_pb.ts";
import type {
  ExplainFireTimeRequest,
  ExplainFireTimeResponseSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import type { JobRow } from "../job/job.ts";
import { ledgerTriggersAt } from "../ledger/ledger.sql.ts";
import { readLedgerPage } from "../ledger/list-fire-times.ts";
import { findLedgerJob, type LedgerView, type Verdict } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { explainNoFireTime } from "./no-fire-time.ts";
import { offsetSentence } from "./offset.ts";
import { explainReason } from "./reason.ts";
import { explainTrigger } from "./trigger.ts";
import { explainUpcoming } from "./upcoming.ts";

/** What it takes to explain an instant. */
type ExplainParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

/** Explains in a few sentences why a job fired or did not fire at an instant. Throws JOB_NOT_FOUND, OUT_OF_RETENTION. */
export async function explainFireTime(
  parts: ExplainParts,
  projectId: string,
  request: ExplainFireTimeRequest,
): Promise<MessageInitShape<typeof ExplainFireTimeResponseSchema>> {
  const row = await findLedgerJob(parts.database, projectId, request.job);
  const atMs = request.nominalTime === undefined ? 0 : timestampMs(request.nominalTime);
  // What was before its creation needs no ledger.
  const beforeFloor = { isCut: atMs <= row.create_time, field: "nominalTime" };
  const { view, verdicts } = await readLedgerPage(parts, row, atMs, atMs + 1, 1, beforeFloor);
  const [verdict] = verdicts;
  if (verdict === undefined) return explainOther(parts, view.row, atMs);
  const offset = offsetSentence(verdict.segment.schedule, atMs);
  return {
    verdict: VerdictCode[verdict.verdict === "UNKNOWN" ? "MISSED" : verdict.verdict],
    reason: verdict.reason === null ? VerdictReason.UNSPECIFIED : VerdictReason[verdict.reason],
    explanation: [await explain(parts, view, verdict), offset].filter((each) => each !== "").join(" "),
  };
}

function explain(parts: ExplainParts, view: LedgerView, verdict: Verdict): Promise<string> | string {
  if (verdict.trigger !== null) return explainTrigger(parts, view.row, verdict.trigger);
  if (verdict.verdict === "UPCOMING") return explainUpcoming(parts, view, verdict);
  if (verdict.reason === null) {
    return "The job should have fired and did not. This is an error in EasyCron; our audit reports it to us.";
  }
  return explainReason(parts, view.row, verdict, verdict.reason);
}

// An instant that is not a fire time can still have a trigger: a backfill with another revision may have made one.
async function explainOther(
  parts: ExplainParts,
  row: JobRow,
  atMs: number,
): Promise<MessageInitShape<typeof ExplainFireTimeResponseSchema>> {
  const values = [row.project_id, row.uid, [toSqlTime(atMs)]];
  const [trigger] = await parts.database.query(ledgerTriggersAt, values);
  const why = await explainNoFireTime(parts, row, atMs);
  if (trigger === undefined) return { explanation: why };
  const explanation = `${await explainTrigger(parts, row, trigger)} The schedule itself did not fire then: ${why}`;
  return { verdict: VerdictCode.TRIGGERED, explanation };
}
