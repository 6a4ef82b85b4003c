import { isItemFault } from "../../db/item-fault.ts";
import { isStatementTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Loop } from "../../mesh/loop.ts";
import type { Parts } from "../parts.ts";
import { type Audit, type AuditParts, auditJob, auditJobs } from "./audit-ledger.ts";
import { auditClaim, auditsAdvance, type ClaimedAuditRow } from "./audits.sql.ts";

/** The most jobs that one round audits. It claims a few at a time, so that several schedulers share the work. */
export const ROUND_JOBS = 500;
const CLAIM_JOBS = 25;
/** The most audits of one job in one round. Together they compare up to 50,000 fire times. */
const AUDITS_PER_JOB = 5;
/** A job is not claimed again within this time. */
const MIN_INTERVAL_MS = 30_000;
/** The last minute before an audit is compared again by the next one: some of its fire times were still undecided. */
const OVERLAP_MS = 60_000;
/** Time between the beginnings of two rounds. */
export const AUDIT_EVERY_MS = 60_000;

/** Audits the jobs that have waited longest. Each audit continues where the job's last audit ended. */
export interface AuditRound {
  /** Runs one round, logs each difference, and returns how many differences it found and how many jobs it audited. */
  run(): Promise<{ readonly differences: number; readonly jobs: number }>;
}

/**
 * Creates the round. The database remembers how far each job has been audited. So no fire time is left out, however
 * long it takes until the job's next audit, and any number of schedulers can share the jobs. A deleted job is audited
 * up to its last fire time and then never again.
 *
 * A difference is logged as an error, because there should never be one. A job that cannot be audited is logged as an
 * error too, and is tried again when it is claimed next. `run` throws when the database cannot be reached.
 */
export function createAuditRound(parts: AuditParts, logger: Pick<Logger, "error">): AuditRound {
  return {
    run: async () => {
      let [differences, jobs] = [0, 0];
      while (jobs < ROUND_JOBS) {
        const nowMs = parts.clock.now();
        const values = [toSqlTime(nowMs), toSqlTime(nowMs - MIN_INTERVAL_MS), CLAIM_JOBS];
        const claimed = await parts.database.query(auditClaim, values);
        if (claimed.length === 0) break;
        jobs += claimed.length;
        differences += await auditSet(parts, logger, claimed, nowMs);
      }
      return { differences, jobs };
    },
  };
}

/** Audits jobs together, and then those alone that cannot be audited together. Returns how many differences it found. */
async function auditSet(
  parts: AuditParts,
  logger: Pick<Logger, "error">,
  claimed: readonly ClaimedAuditRow[],
  nowMs: number,
): Promise<number> {
  const audits = await auditTogether(parts, claimed, nowMs);
  let found = 0;
  for (const [uid, audit] of audits) found += report(parts, logger, uid, audit);
  await advance(parts, audits, nowMs);
  for (const job of claimed) if (!audits.has(job.job_uid)) found += await tryOne(parts, logger, job);
  return found;
}

/** Audits jobs that need little, with a few statements for all of them. Leaves the others out. */
async function auditTogether(
  parts: AuditParts,
  claimed: readonly ClaimedAuditRow[],
  nowMs: number,
): Promise<Map<string, Audit>> {
  try {
    const jobs = claimed.map(({ job_uid: uid, project_id, audited_until: fromMs }) => ({
      uid,
      project_id,
      fromMs,
    }));
    return await auditJobs(parts, jobs, nowMs);
  } catch (error) {
    // One of the jobs cannot be read, or takes too long. Each is audited alone.
    if (!isItemFault(error) && !isStatementTimeout(error)) throw error;
    return new Map();
  }
}

async function tryOne(
  parts: AuditParts,
  logger: Pick<Logger, "error">,
  job: ClaimedAuditRow,
): Promise<number> {
  try {
    return await auditOne(parts, logger, job);
  } catch (error) {
    // An audit that takes too long is the fault of the job: the others must still be audited.
    if (!isItemFault(error) && !isStatementTimeout(error)) throw error;
    logger.error({ jobUid: job.job_uid, err: error }, "a ledger cannot be audited");
    return 0;
  }
}

async function auditOne(
  parts: AuditParts,
  logger: Pick<Logger, "error">,
  { job_uid: uid, project_id, audited_until }: ClaimedAuditRow,
): Promise<number> {
  const nowMs = parts.clock.now();
  let fromMs = audited_until;
  let found = 0;
  for (let left = AUDITS_PER_JOB; left > 0; left--) {
    const audit = await auditJob(parts, { uid, project_id }, fromMs, nowMs);
    if (audit === null) break;
    found += report(parts, logger, uid, audit);
    await advance(parts, new Map([[uid, audit]]), nowMs);
    if (audit.untilMs >= nowMs || audit.untilMs <= fromMs) break;
    fromMs = audit.untilMs;
  }
  return found;
}

/** Logs the differences of an audit, and returns how many there are. */
function report(
  parts: AuditParts,
  logger: Pick<Logger, "error">,
  jobUid: string,
  { differences }: Audit,
): number {
  parts.onAudited?.(differences.length);
  for (const { kind, atMs, detail } of differences) {
    logger.error({ jobUid, kind, fireTime: toIso(atMs), detail }, "the ledger and the schedule differ");
  }
  return differences.length;
}

async function advance(
  parts: Pick<Parts, "database">,
  audits: ReadonlyMap<string, Audit>,
  nowMs: number,
): Promise<void> {
  if (audits.size === 0) return;
  const done = [...audits].map(([uid, { untilMs, undecidedMs, deleted }]) => ({
    uid,
    isLast: deleted && untilMs >= nowMs && undecidedMs >= untilMs,
    untilMs: Math.min(undecidedMs, untilMs, nowMs - OVERLAP_MS),
  }));
  await parts.database.query(auditsAdvance, [
    done.map(({ uid }) => uid),
    done.map(({ untilMs }) => toSqlTime(untilMs)),
    done.map(({ isLast }) => isLast),
  ]);
}

/** Starts a round every minute. A round that fails is logged; the next round audits what it left out. */
export function startAuditing(
  parts: AuditParts,
  logger: Logger,
  everyMs = AUDIT_EVERY_MS,
): Pick<Loop, "stop" | "sinceSuccessMs"> {
  const round = createAuditRound(parts, logger);
  let succeededMs = performance.now();
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= round
      .run()
      .then(
        () => {
          succeededMs = performance.now();
        },
        (error: unknown) => logger.warn({ err: error }, "the ledger was not audited"),
      )
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
    sinceSuccessMs: () => performance.now() - succeededMs,
  };
}
