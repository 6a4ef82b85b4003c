import { Worker } from "node:worker_threads";
import { failure } from "../../../mesh/errors.ts";
import { createFairQueue } from "./import-queue.ts";
import type { ImportAnswer, ImportBegun, ImportWork } from "./worker.ts";

const WORK_MS = 2_000;
const START_TIMEOUT_MS = 5_000;
const MAX_HEAP_MB = 128;
const FIELD = "calendar.icalendar";

// A call may take ten seconds (the gateway's deadline). Its own import may take two of them, so it may wait for five.
const queue = createFairQueue({ atOnce: 2, waitingOfOne: 4, waitingOfAll: 32, waitMs: 5_000 });

/**
 * Imports the dates of an iCalendar text. It runs in a thread of its own, because a costly text may take a second and
 * more, and the scheduler's loop must not stop.
 *
 * Two imports run at a time, at most one for each project. Others wait, and the projects take turns. Throws
 * CALENDAR_INVALID, with the line, if the text is wrong, or if the import takes more than `workMs` (two seconds) or
 * 128 MiB. Throws SERVICE_UNAVAILABLE if too many imports wait, or if this one has waited for five seconds.
 */
export async function importICalendar(
  projectId: string,
  work: ImportWork,
  { workMs = WORK_MS }: { readonly workMs?: number } = {},
): Promise<readonly string[]> {
  const answer = await queue.run(projectId, () => runThread(work, workMs));
  if ("dates" in answer) return answer.dates;
  throw invalid(answer.value, `${answer.problem}.`);
}

function runThread(work: ImportWork, workMs: number): Promise<ImportAnswer> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  return new Promise<ImportAnswer>((resolve, reject) => {
    // On a busy machine, starting a thread may take longer than its work. So the limit of the work starts later.
    let timer = setTimeout(() => reject(unavailable()), START_TIMEOUT_MS);
    const endLate = () => {
      const problem = `its events take longer than ${workMs / 1000} s to expand; import fewer events.`;
      reject(invalid("", problem));
    };
    worker.on("message", (message: ImportBegun | ImportAnswer) => {
      clearTimeout(timer);
      if ("begun" in message) timer = setTimeout(endLate, workMs);
      else resolve(message);
    });
    worker.once("error", (error: unknown) => {
      const outOfMemory = (error as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY";
      reject(
        outOfMemory
          ? invalid("", `its events need more than ${MAX_HEAP_MB} MiB to expand; import fewer events.`)
          : error,
      );
    });
    worker.once("exit", () => {
      clearTimeout(timer);
      reject(new Error("The thread of the import ended without an answer."));
    });
  }).finally(() => worker.terminate());
}

function unavailable(): Error {
  return failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
}

function invalid(value: string, problem: string): Error {
  const violations = [{ field: FIELD, description: problem }];
  return failure("CALENDAR_INVALID", { field: FIELD, value, problem }, { violations });
}
