import { EasyCronError, failure } from "./errors.ts";

/** What is wrong with one item of a batch. */
export interface ItemError {
  readonly index: number;
  readonly error: EasyCronError;
}

/** Most broken rules that one error tells of. */
const MAX_VIOLATIONS = 100;

/** One error for the items of a list that are wrong: reason and words of the first, the broken rules of all. */
export function batchError(list: string, errors: readonly [ItemError, ...ItemError[]]): EasyCronError {
  const [{ index, error }] = errors;
  const violations = errors.flatMap((each) => violationsOf(list, each)).slice(0, MAX_VIOLATIONS);
  const field = itemPath(list, index, error.metadata.field ?? "");
  return failure(
    error.reason,
    { ...error.metadata, field },
    {
      violations,
      cause: error,
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
 * The path of a field of one item. Fields of jobs are named from `job` on; where the items are the jobs themselves
 * (`jobs`), that is left out.
 */
export function itemPath(list: string, index: number, field: string): string {
  const own = list === "jobs" ? field.replace(/^job\./, "") : field;
  return own === "" ? `${list}[${index}]` : `${list}[${index}].${own}`;
}

/** Does something with each item; throws one error for all the items with which it fails. */
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

/** Throws one error for the items that are wrong, if any is. */
export function throwIfAny(list: string, errors: readonly ItemError[]): void {
  const [first, ...others] = errors;
  if (first !== undefined) throw batchError(list, [first, ...others]);
}

/**
 * As `eachOrThrow` for work that takes time, on a few items at once. All are worked on, also after a failure; results
 * are in the order of the items.
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
