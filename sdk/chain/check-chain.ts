import type { TextStore } from "../idempotency/store.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import { type ChainCheck, type ChainState, stepChain } from "./chain-state.ts";

/** How often a change is tried against other processes that change the same job's state at the same time. */
const MAX_TRIES = 20;

/**
 * Makes a function that says whether triggers of its job are missing before a trigger: `const check = checkChain(store)`,
 * then `const found = await check(trigger)` for each trigger, copies included. It remembers in the store the largest
 * `seq` of each job, and up to 1,000 smaller ones that have not come. Any number of processes may share the store; the
 * built-in ones of `@easycron/sdk/idempotency` can be used. Throws what the store throws.
 *
 * @example
 * ```ts
 * const check = checkChain(memoryStore());
 * await check(signTrigger({ seq: 1 }).trigger);
 * const found = await check(signTrigger({ seq: 4 }).trigger);
 * if (found.kind === "GAP") console.log(found.gap.fromSeq, found.gap.toSeq); // 2 3
 * ```
 */
export function checkChain(store: TextStore): (trigger: TriggerFired) => Promise<ChainCheck> {
  return async (trigger) => {
    const key = `chain:${trigger.job.uid}`;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const before = await store.read(key);
      const { check, next } = stepChain(toState(before), trigger);
      if (next === undefined || (await store.swap(key, before, JSON.stringify(next)))) return check;
    }
    throw new Error(
      `The chain of ${trigger.job.name} was changed by others ${MAX_TRIES} times meanwhile; try again.`,
    );
  };
}

function toState(text: string | undefined): ChainState | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as ChainState);
}
