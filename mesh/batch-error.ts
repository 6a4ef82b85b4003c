import { EasyCronError, failure } from "./errors.ts";

/** What is wrong with one item of a batch. */
export interface ItemError {
  readonly index: number;
  readonly error: EasyCronError;
}

/** The largest number of broken rules that one error lists. */
const MAX_VIOLATIONS = 100;

/**
 * Creates one error for all wrong items of a list: it has the reason and message of the first, and the broken rules
 * of all.
 */
export function batchError(list: string, errors: readonly [ItemError, ...ItemError[]]): EasyCronError {
  const [{ index, error }] = errors;
  const violations = errors.flatMap((each) => violationsOf(list, each)).slice(0, MAX_VIOLATIONS);
  const field = itemPath(list, index, error.metadata.field ?? "");
  return failure(
    error.reason,
    { ...error.metadata, field },
    {
      violations,
      cause: errors.length === 1 ? error : new AggregateError(errors.map((each) => each.error)),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    },
  );
}

function violationsOf(list: string, { index, error }: ItemError): EasyCronError["violations"] {
  if (error.violations.length === 0)
    return [{ field: itemPath(list, index, ""), description: error.message }];
  return error.violations.map(({ field, description }) => ({
    field: itemPath(list, index, field),
    description,
  }));
}

/**
 * Returns the path of a field of one item, such as `requests[3].job.name`. If the list is `jobs`, the items are the
 * jobs themselves, so the leading `job.` is left out: `jobs[3].name`.
 */
export function itemPath(list: string, index: number, field: string): string {
  const own = list === "jobs" ? field.replace(/^job\./, "") : field;
  return own === "" ? `${list}[${index}]` : `${list}[${index}].${own}`;
}

/**
 * Calls `work` with each item and returns the results. Throws one error for all the items for which `work` throws.
 */
export function eachOrThrow<T, R>(
  list: string,
  items: readonly T[],
  work: (item: T, index: number) => R,
): R[] {
  const errors: ItemError[] = [];
  const results: R[] = [];
  for (const [index, item] of items.entries()) {
    try {
      results.push(work(item, index));
    } catch (error) {
      if (!(error instanceof EasyCronError)) throw error;
      errors.push({ index, error });
    }
  }
  throwIfAny(list, errors);
  return results;
}

/** Throws one error for all the wrong items. Does nothing if there are none. */
export function throwIfAny(list: string, errors: readonly ItemError[]): void {
  const [first, ...others] = errors;
  if (first !== undefined) throw batchError(list, [first, ...others]);
}

/**
 * Does the same as `eachOrThrow` for asynchronous work, with at most 4 items in flight. A failure does not stop the
 * other items. The results are in the order of the items.
 */
export async function eachAtOnce<T, R>(
  list: string,
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>();
  const errors: ItemError[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      try {
        results.set(index, await work(items[index] as T, index));
      } catch (error) {
        errors.push({ index, error: EasyCronError.from(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  throwIfAny(
    list,
    errors.sort((a, b) => a.index - b.index),
  );
  return items.map((_, index) => results.get(index) as R);
}

const AT_ONCE = 4;
