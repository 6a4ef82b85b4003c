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
    decided.map(({ row }) => row.uid),
    decided.map(({ turn }) => (turn.finished ? "FINISHED" : "ACTIVE")),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.position.nextFireTimeMs)),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.position.lastFireTimeMs)),
    decided.map(({ turn }) => turn.position.lastSeq),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.wakeMs)),
    decided.map(({ turn }) => toCarryJson(turn.position.carry)),
    decided.map(({ turn }) => turn.waitsForEnd),
  ]);
}
