import { parentPort, workerData } from "node:worker_threads";
import { ICalendarError } from "./error.ts";
import { type ImportOptions, importDates } from "./icalendar.ts";

/** The input of the thread. */
export interface ImportWork extends ImportOptions {
  readonly text: string;
}

/** The first message of the thread: it has loaded and starts its work. Its answer follows. */
export interface ImportBegun {
  readonly begun: true;
}

/** The answer of the thread: the dates, or what is wrong with the text. */
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
