import type { Queryable } from "../../db/pool.ts";
import { pauseBegin } from "../job/epochs.sql.ts";
import type { Segment } from "../ledger/segments.ts";

/** An instant as explanations name it. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Since when the job is paused that a segment is of, and with which note, as in `2026-03-02T09:01:00.000Z ("lunch")`. */
export async function sinceOf(on: Queryable, jobUid: string, segment: Segment): Promise<string> {
  const [begin] = await on.query(pauseBegin, [jobUid, segment.epoch]);
  const note = segment.note === "" ? "" : ` ("${segment.note}")`;
  return `${iso(begin?.change_time ?? segment.changeMs)}${note}`;
}
