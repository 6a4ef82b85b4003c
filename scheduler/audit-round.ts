import type { Logger } from "../mesh/logger.ts";
import { auditJob } from "./audit-ledger.ts";
import { jobsAfterUid } from "./jobs.sql.ts";
import type { Parts } from "./parts.ts";

/** Most jobs of one round. */
const ROUND_JOBS = 200;
/** How far back a round looks. */
const WINDOW_MS = 3_600_000;
const EVERY_MS = 60_000;

/** Audits the last hour of the next 200 jobs, by turns all of them; deleted ones too. */
export interface AuditRound {
  /** Returns how many differences there were; each is told. */
  run(): Promise<number>;
}

/** Makes a round that begins with the first job. Differences are logged as errors: there should never be one. */
export function createAuditRound(parts: Parts, logger: Pick<Logger, "error">): AuditRound {
  let afterUid = "";
  return {
    run: async () => {
      const jobs = await parts.database.query(jobsAfterUid, [afterUid, ROUND_JOBS]);
      let found = 0;
      for (const job of jobs) {
        const nowMs = parts.clock.now();
        const audit = await auditJob(parts, job, nowMs - WINDOW_MS, nowMs);
        for (const { kind, atMs, detail } of audit?.differences ?? []) {
          found += 1;
          const fireTime = new Date(atMs).toISOString();
          logger.error({ jobUid: job.uid, kind, fireTime, detail }, "the ledger and the schedule differ");
        }
      }
      afterUid = jobs.length < ROUND_JOBS ? "" : (jobs.at(-1)?.uid ?? "");
      return found;
    },
  };
}

/** A round every minute; a failure is logged and made up for by the next. */
export function startAuditing(parts: Parts, logger: Logger): { stop(): void } {
  const round = createAuditRound(parts, logger);
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    round
      .run()
      .catch((error: unknown) => logger.warn({ err: error }, "the ledger was not audited"))
      .finally(() => {
        running = false;
      });
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
