import { toPlainArray, toQuotedArray, toTimeArray } from "../../db/array.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTimeOrNull } from "../../db/time.ts";
import { toCarryJson } from "../job/carry.ts";
import { epochEnd } from "../job/epochs.sql.ts";
import { jobAdvance } from "../job/jobs.sql.ts";
import { addSkips } from "../job/skips.sql.ts";
import type { DecidedTurn } from "./decide-turns.ts";

/** Writes what turns decided: skips, ends of epochs, and the new positions of the jobs. */
export async function writeTurns(tx: Queryable, decided: readonly DecidedTurn[]): Promise<void> {
  await addSkips(
    tx,
    decided.flatMap(({ row, turn }) => turn.skips.map((range) => ({ jobUid: row.uid, range }))),
  );
  const ended = decided.filter(({ turn }) => turn.endMs !== null);
  if (ended.length > 0) {
    await tx.query(epochEnd, [
      ended.map(({ row }) => row.uid),
      ended.map(({ row }) => row.epoch),
      ended.map(({ turn }) => toSqlTimeOrNull(turn.endMs)),
    ]);
  }
  await tx.query(jobAdvance, [
    toPlainArray(decided.map(({ row }) => row.uid)),
    toPlainArray(decided.map(({ turn }) => (turn.finished ? "FINISHED" : "ACTIVE"))),
    toTimeArray(decided.map(({ turn }) => turn.position.nextFireTimeMs)),
    toTimeArray(decided.map(({ turn }) => turn.position.lastFireTimeMs)),
    toPlainArray(decided.map(({ turn }) => turn.position.lastSeq)),
    toTimeArray(decided.map(({ turn }) => turn.wakeMs)),
    toQuotedArray(decided.map(({ turn }) => toCarryJson(turn.position.carry))),
    toPlainArray(decided.map(({ turn }) => (turn.waitsForEnd ? "t" : "f"))),
  ]);
}
