import type { Spec } from "../delivery/spec.ts";
import { createFifo } from "../lanes/fifo.ts";
import { type HeldTrigger, isLate } from "../waiting/held-trigger.ts";

/** A due trigger that waits. */
export interface Waiter {
  readonly trigger: HeldTrigger;
  readonly spec: Spec;
  /** Whether it still waits. */
  isWaiting: boolean;
}

/**
 * A queue with three classes: first attempts, retries, and late triggers. A lower class is served when no higher one waits,
 * but retries get every fourth turn and late triggers every eighth, so that none waits for ever.
 */
export interface ClassQueue {
  readonly size: number;
  push(waiter: Waiter): void;
  /** Returns the waiter whose turn it is, and leaves it; undefined when the queue is empty. */
  peek(): Waiter | undefined;
  /** Removes and returns it. */
  shift(): Waiter | undefined;
  /** Returns all waiters, which stay. */
  items(): Waiter[];
  /** Removes and returns all waiters. */
  clear(): Waiter[];
}

const RETRY_EVERY = 4;
const LATE_EVERY = 8;

/** Makes an empty queue. */
export function createClassQueue(): ClassQueue {
  const [first, retries, late] = [createFifo<Waiter>(), createFifo<Waiter>(), createFifo<Waiter>()];
  const inOrder = [first, retries, late];
  let turn = 0;

  const classInTurn = () => {
    if (turn % LATE_EVERY === LATE_EVERY - 1 && late.size > 0) return late;
    if (turn % RETRY_EVERY === RETRY_EVERY - 1 && retries.size > 0) return retries;
    return inOrder.find(({ size }) => size > 0);
  };

  return {
    get size() {
      return first.size + retries.size + late.size;
    },
    push: (waiter) => {
      const { trigger } = waiter;
      if (isLate(trigger)) late.push(waiter);
      else if (trigger.attemptCount > 0) retries.push(waiter);
      else first.push(waiter);
    },
    peek: () => classInTurn()?.peek(),
    shift: () => {
      const waiter = classInTurn()?.shift();
      turn += 1;
      return waiter;
    },
    items: () => inOrder.flatMap((queue) => queue.items()),
    clear: () => inOrder.flatMap((queue) => queue.clear()),
  };
}
