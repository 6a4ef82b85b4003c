import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { catchupReserve, catchupTryReserve } from "./catchup.sql.ts";

/**
 * Spreads the catch-up triggers of each project over time: they become due one after the other, `perSecond` in a
 * second, from `nowMs` on and after those of earlier turns. The rate is that of the project, however many schedulers
 * run. Other triggers keep their effective times. The time is reserved in the caller's transaction. Waits for other
 * transactions that reserve time of the same project.
 */
export async function spreadCatchup(
  tx: Queryable,
  events: readonly TriggerEventInit[],
  nowMs: number,
  perSecond: number,
): Promise<TriggerEventInit[]> {
  return (await spread(tx, catchupReserve, events, nowMs, perSecond)).events;
}

/** Events of which the catch-up triggers are spread. */
export interface SpreadEvents {
  readonly events: TriggerEventInit[];
  /** The projects for which another transaction is reserving time. The catch-up triggers of these are not in `events`. */
  readonly busyProjects: ReadonlySet<string>;
}

/**
 * Spreads catch-up triggers like `spreadCatchup`, for callers that handle many projects: it waits for no other
 * transaction, and leaves the catch-up triggers out of a project for which it would have to.
 */
export function trySpreadCatchup(
  tx: Queryable,
  events: readonly TriggerEventInit[],
  nowMs: number,
  perSecond: number,
): Promise<SpreadEvents> {
  return spread(tx, catchupTryReserve, events, nowMs, perSecond);
}

async function spread(
  tx: Queryable,
  reserve: typeof catchupReserve,
  events: readonly TriggerEventInit[],
  nowMs: number,
  perSecond: number,
): Promise<SpreadEvents> {
  const counts = new Map<string, number>();
  for (const { kind, projectId } of events) {
    if (kind === TriggerKind.CATCHUP) counts.set(projectId, (counts.get(projectId) ?? 0) + 1);
  }
  if (counts.size === 0) return { events: [...events], busyProjects: new Set() };
  const stepMs = 1_000 / perSecond;
  const rows = await tx.query(reserve, [
    [...counts.keys()],
    toSqlTime(nowMs),
    [...counts.values()].map((count) => count * stepMs),
  ]);
  const slots = new Map(
    rows.map((row) => [row.project_id, row.next_time - (counts.get(row.project_id) ?? 0) * stepMs]),
  );
  const busyProjects = new Set<string>();
  const spreadEvents: TriggerEventInit[] = [];
  for (const event of events) {
    const slotMs = event.kind === TriggerKind.CATCHUP ? slots.get(event.projectId) : undefined;
    if (event.kind !== TriggerKind.CATCHUP) spreadEvents.push(event);
    else if (slotMs === undefined) busyProjects.add(event.projectId);
    else {
      slots.set(event.projectId, slotMs + stepMs);
      spreadEvents.push({ ...event, effectiveTimeMs: BigInt(Math.max(nowMs, Math.floor(slotMs))) });
    }
  }
  return { events: spreadEvents, busyProjects };
}
