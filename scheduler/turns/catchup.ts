import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { catchupReserve } from "./catchup.sql.ts";

/**
 * Spreads the catch-up triggers of each project over time: they become due one after the other, `perSecond` in a
 * second, from `nowMs` on and after those of earlier turns. The rate is that of the project, however many schedulers
 * run. Other triggers keep their effective times. The time is reserved in the caller's transaction.
 */
export async function spreadCatchup(
  tx: Queryable,
  events: readonly TriggerEventInit[],
  nowMs: number,
  perSecond: number,
): Promise<TriggerEventInit[]> {
  const counts = new Map<string, number>();
  for (const { kind, projectId } of events) {
    if (kind === TriggerKind.CATCHUP) counts.set(projectId, (counts.get(projectId) ?? 0) + 1);
  }
  if (counts.size === 0) return [...events];
  const stepMs = 1_000 / perSecond;
  const rows = await tx.query(catchupReserve, [
    [...counts.keys()],
    toSqlTime(nowMs),
    [...counts.values()].map((count) => count * stepMs),
  ]);
  const slots = new Map(
    rows.map((row) => [row.project_id, row.next_time - (counts.get(row.project_id) ?? 0) * stepMs]),
  );
  return events.map((event) => {
    if (event.kind !== TriggerKind.CATCHUP) return event;
    const slotMs = slots.get(event.projectId) ?? nowMs;
    slots.set(event.projectId, slotMs + stepMs);
    return { ...event, effectiveTimeMs: BigInt(Math.max(nowMs, Math.floor(slotMs))) };
  });
}
