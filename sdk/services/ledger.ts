import type { Caller, Options } from "../caller.ts";
import {
  type AuditLedgerRequestSchema,
  type ExplainFireTimeRequestSchema,
  LedgerService,
  type ListFireTimesRequestSchema,
  type SkipFireTimeRequestSchema,
} from "../gen/easycron/v1/ledger_service_pb.ts";
import { createList } from "../list.ts";
import type { LedgerEntry } from "../resources.ts";

const { method } = LedgerService;

/** Makes the methods of the ledger. */
export function createLedger(caller: Caller) {
  return {
    /** Lists the fire times of a job with their verdicts: `ledger.list({ job: "payroll", startTime, endTime })`. */
    list: (request: Options<typeof ListFireTimesRequestSchema> & { readonly job: string }) =>
      createList(caller, method.listFireTimes, request, (page): readonly LedgerEntry[] => page.fireTimes),

    /** Says in words what became of a fire time, and why. */
    explain: (request: Options<typeof ExplainFireTimeRequestSchema> & { readonly job: string }) =>
      caller.call(method.explainFireTime, request),

    /** Skips one fire time that is still to come. */
    skip: (request: Options<typeof SkipFireTimeRequestSchema> & { readonly job: string }) =>
      caller.call(method.skipFireTime, request),

    /** Computes the ledger of a job again, and returns the differences. */
    audit: (request: Options<typeof AuditLedgerRequestSchema> & { readonly job: string }) =>
      caller.call(method.auditLedger, request),
  };
}
