import type { Clock } from "../../mesh/clock.ts";
import type { DoneForRows } from "../set-aside/run-for-rows.ts";
import type { SetAside } from "../set-aside/set-aside.ts";

/**
 * The triggers that recovery cannot take or release, because PostgreSQL refuses the statement for each of them alone. Its
 * statements leave them out until their next try, so that they delay no other trigger.
 */
export interface LeftOut {
  /** Returns the ids of those whose next try is still to come. */
  ids(): readonly string[];
  /** Sets triggers aside, and leaves them out until their next try. Never throws. */
  add(failed: DoneForRows<never>["failed"]): Promise<void>;
}

/** Makes an empty list. */
export function createLeftOut(parts: { readonly clock: Clock; readonly setAside: SetAside }): LeftOut {
  const { clock, setAside } = parts;
  // By id, when the next try is.
  const untilMs = new Map<string, number>();
  return {
    ids: () => {
      const nowMs = clock.now();
      for (const [id, retryMs] of untilMs) if (retryMs <= nowMs) untilMs.delete(id);
      return [...untilMs.keys()];
    },
    add: async (failed) => {
      if (failed.length === 0) return;
      const items = failed.map(({ item: { id, project_id: projectId, job_uid: jobUid }, error }) => ({
        id,
        projectId,
        jobUid,
        error,
      }));
      const pauses = await setAside.put("trigger", items);
      const nowMs = clock.now();
      for (const [id, pauseMs] of pauses) untilMs.set(id, nowMs + pauseMs);
    },
  };
}
