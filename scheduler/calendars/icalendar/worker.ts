import { parentPort, workerData } from "node:worker_threads";
import { ICalendarError } from "./error.ts";
import { type ImportOptions, importDates } from "./icalendar.ts";

/** What the thread is given. */
export interface ImportWork extends ImportOptions {
  readonly text: string;
}

/** What the thread says when it is loaded and begins; its answer follows. */
export interface ImportBegun {
  readonly begun: true;
}

/** What the thread answers. */
export type ImportAnswer =
  | { readonly dates: readonly string[] }
  | { readonly line: number; readonly value: string; readonly problem: string };

function answer({ text, ...options }: ImportWork): ImportAnswer {
  try {
    return { dates: importDates(text, options) };
  } catch (error) {
    if (!(error instanceof ICalendarError)) throw error;
    return { line: error.line, value: error.value, problem: error.message };
  }
}

parentPort?.postMessage({ begun: true } satisfies ImportBegun);
parentPort?.postMessage(answer(workerData as ImportWork));
