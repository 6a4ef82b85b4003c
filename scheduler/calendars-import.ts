import { Worker } from "node:worker_threads";
import { failure } from "../mesh/errors.ts";
import type { ImportAnswer, ImportWork } from "./calendars-icalendar-worker.ts";

const TIMEOUT_MS = 2_000;
const MAX_HEAP_MB = 128;
const MAX_THREADS = 2;
const FIELD = "calendar.icalendar";

let threads = 0;

/**
 * The dates of an iCalendar text, found in a thread of its own: a rule that no date ever matches keeps the parser
 * busy for ever, and must not stop the clock of everybody. Throws CALENDAR_INVALID with the line, also after two
 * seconds or 128 MiB; SERVICE_UNAVAILABLE while two other imports run.
 */
export async function importICalendar(work: ImportWork): Promise<readonly string[]> {
  if (threads >= MAX_THREADS) {
    throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
  }
  threads += 1;
  try {
    const answer = await runThread(work);
    if ("dates" in answer) return answer.dates;
    throw invalid(answer.value, `${answer.problem}.`);
  } finally {
    threads -= 1;
  }
}

function runThread(work: ImportWork): Promise<ImportAnswer> {
  const worker = new Worker(new URL("./calendars-icalendar-worker.ts", import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  return new Promise<ImportAnswer>((resolve, reject) => {
    const timer = setTimeout(() => {
      const problem = `its events take longer than ${TIMEOUT_MS / 1000} s to expand; leave out rules that never match.`;
      reject(invalid("", problem));
    }, TIMEOUT_MS);
    worker.once("message", (answer: ImportAnswer) => resolve(answer));
    worker.once("error", (error: unknown) => {
      const outOfMemory = (error as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY";
      reject(outOfMemory ? invalid("", `its events take more than ${MAX_HEAP_MB} MiB to expand.`) : error);
    });
    worker.once("exit", () => {
      clearTimeout(timer);
      reject(new Error("The import's thread ended without an answer."));
    });
  }).finally(() => worker.terminate());
}

function invalid(value: string, problem: string): Error {
  const violations = [{ field: FIELD, description: problem }];
  return failure("CALENDAR_INVALID", { field: FIELD, value, problem }, { violations });
}
