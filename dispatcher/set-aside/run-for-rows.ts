import { isItemFault } from "../../db/item-fault.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import type { ListedTrigger } from "../waiting/held-trigger.ts";

/** What a statement did that selects its rows itself. */
export interface DoneForRows<R> {
  /** The rows that it returned. */
  readonly rows: readonly R[];
  /**
   * The rows that it looked at: those that it returned or, if it was taken apart, those of the list. Empty if there were
   * too many failures to look at all of them.
   */
  readonly seen: readonly { readonly due_time: number }[];
  /** The triggers for which it fails alone. */
  readonly failed: readonly { readonly item: ListedTrigger; readonly error: unknown }[];
}

/** Most triggers that one run finds to fail alone. The rest waits for the next run, so that no run takes too long. */
const FAILURES_LIMIT = 25;

/**
 * Runs a statement that changes the rows that it selects itself (`run(null)`). If it fails because of a row, `list` names
 * the rows that it would select, and it is run for parts of them by id, until those are found for which it fails alone.
 * Throws SERVICE_UNAVAILABLE, and what `list` throws.
 */
export async function runForRows<R extends { readonly due_time: number }>(
  run: (ids: readonly string[] | null) => Promise<readonly R[]>,
  list: () => Promise<readonly ListedTrigger[]>,
): Promise<DoneForRows<R>> {
  try {
    const rows = await run(null);
    return { rows, seen: rows, failed: [] };
  } catch (error) {
    if (!isItemFault(error)) throw error;
  }
  const listed = await list();
  let failures = 0;
  const runPart = async (part: readonly ListedTrigger[]): Promise<readonly R[]> => {
    if (failures >= FAILURES_LIMIT) return [];
    try {
      return await run(part.map(({ id }) => id));
    } catch (error) {
      if (part.length === 1) failures += 1;
      throw error;
    }
  };
  const { results, failed } = await takeApart(listed, runPart, { isItemFault });
  return { rows: results.flat(), seen: failures < FAILURES_LIMIT ? listed : [], failed };
}
