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
    /**
     * Lists the fire times of a job with their verdicts: `ledger.list({ job: "payroll", startTime, endTime })`.
     *
     * @example
     * ```ts
     * const startTime = new Date("2026-03-01T00:00:00Z");
     * for await (const { nominalTime, verdict } of easycron.ledger.list({ job: "payroll", startTime })) {
     *   console.log(nominalTime, verdict);
     * }
     * ```
     */
    list: (request: Options<typeof ListFireTimesRequestSchema> & { readonly job: string }) =>
      createList(caller, method.listFireTimes, request, (page): readonly LedgerEntry[] => page.fireTimes),

    /**
     * Says in words what became of a fire time, and why.
     *
     * @example
     * ```ts
     * const nominalTime = new Date("2026-03-01T09:00:00Z");
     * const { verdict, explanation } = await easycron.ledger.explain({ job: "payroll", nominalTime });
     * console.log(verdict, explanation);
     * ```
     */
    explain: (request: Options<typeof ExplainFireTimeRequestSchema> & { readonly job: string }) =>
      caller.call(method.explainFireTime, request),

    /**
     * Skips one fire time that is still to come.
     *
     * @example
     * ```ts
     * await easycron.ledger.skip({ job: "payroll", nominalTime: new Date("2030-03-01T09:00:00Z") });
     * ```
     */
    skip: (request: Options<typeof SkipFireTimeRequestSchema> & { readonly job: string }) =>
      caller.call(method.skipFireTime, request),

    /**
     * Computes the ledger of a job again, and returns the differences.
     *
     * @example
     * ```ts
     * const { differences } = await easycron.ledger.audit({ job: "payroll", startTime: "2026-03-01T00:00:00Z" });
     * console.log(differences.length);
     * ```
     */
    audit: (request: Options<typeof AuditLedgerRequestSchema> & { readonly job: string }) =>
      caller.call(method.auditLedger, request),
  };
}
