import type { Queryable } from "../../db/pool.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { pauseBegin } from "../job/epochs.sql.ts";
import type { Segment } from "../ledger/segments.ts";

/**
 * Says when the pause began that a segment belongs to, and its note, as in `2026-03-02T09:01:00.000Z ("lunch")`. A change
 * of the note during the pause does not move its beginning.
 */
export async function pauseStartText(on: Queryable, jobUid: string, segment: Segment): Promise<string> {
  const [begin] = await on.query(pauseBegin, [jobUid, segment.epoch]);
  const note = segment.note === "" ? "" : ` ("${segment.note}")`;
  return `${toIso(begin?.change_time ?? segment.changeMs)}${note}`;
}
