import { type Caller, type Options, required } from "../caller.ts";
import {
  type AcknowledgeTriggerRequestSchema,
  type DiscardTriggersRequestSchema,
  type GetTriggerRequestSchema,
  type ListAttemptsRequestSchema,
  type ListTriggersRequestSchema,
  type ReplayTriggerRequestSchema,
  type ReplayTriggersRequestSchema,
  TriggerService,
} from "../gen/easycron/v1/trigger_service_pb.ts";
import { createList } from "../list.ts";
import type { Attempt, Trigger } from "../resources.ts";
import { type RunningOperation, toRunning } from "./running-operation.ts";

const { method } = TriggerService;

/** What became of an acknowledgement. */
export interface Acknowledged {
  /** The trigger as it is now. */
  trigger: Trigger;
  /** Whether the acknowledgement came too late to count. */
  isLate: boolean;
  /** What happened instead, in words; empty if the acknowledgement counts. */
  explanation: string;
}

/** Makes the methods of triggers. */
export function createTriggers(caller: Caller) {
  return {
    /**
     * Returns one trigger.
     *
     * @example
     * ```ts
     * const trigger = await easycron.triggers.get("trg_h8y7dk7ek4fs5qrt3mqt9ek1v4");
     * console.log(trigger.state, trigger.attemptCount);
     * ```
     */
    get: async (
      id: string,
      options: Options<typeof GetTriggerRequestSchema, "id"> = {},
    ): Promise<Trigger> => {
      const { trigger } = await caller.call(method.getTrigger, { ...options, id });
      return required(trigger, "trigger");
    },

    /**
     * Lists triggers, newest first: `triggers.list({ job: "payroll", state: "EXHAUSTED" })`.
     *
     * @example
     * ```ts
     * for await (const trigger of easycron.triggers.list({ job: "payroll", state: "EXHAUSTED" })) {
     *   console.log(trigger.id, trigger.nominalTime);
     * }
     * ```
     */
    list: (options: Options<typeof ListTriggersRequestSchema> = {}) =>
      createList(caller, method.listTriggers, options, (page): readonly Trigger[] => page.triggers),

    /**
     * Lists the attempts of one trigger that have ended, first to last.
     *
     * @example
     * ```ts
     * for await (const { number, outcome } of easycron.triggers.listAttempts("trg_h8y7dk7ek4fs5qrt3mqt9ek1v4")) {
     *   console.log(number, outcome);
     * }
     * ```
     */
    listAttempts: (trigger: string, options: Options<typeof ListAttemptsRequestSchema, "trigger"> = {}) =>
      createList(
        caller,
        method.listAttempts,
        { ...options, trigger },
        (page): readonly Attempt[] => page.attempts,
      ),

    /**
     * Acknowledges a trigger whose job wants it, with the token that came with the webhook: that its work has SUCCEEDED
     * (the default), has FAILED, or needs more time (EXTENDED, with `extendBy`). `isLate` tells that it came too late to
     * count. The API key does not matter; `acknowledgement` of `@easycron/sdk/receiver` needs none.
     *
     * @example
     * ```ts
     * const token = "ack_proj_01h455vb4pex5vsknk084sn02q.1.Ca7VyPpm9B0fzoo6r2u3h3HjM0m1Y3J3G3q3b1cZ8xQ";
     * const { trigger, isLate } = await easycron.triggers.acknowledge("trg_h8y7dk7ek4fs5qrt3mqt9ek1v4", token, {
     *   outcome: "FAILED",
     *   message: "the bank was closed",
     * });
     * console.log(trigger.state, isLate);
     * ```
     */
    acknowledge: async (
      id: string,
      token: string,
      options: Options<typeof AcknowledgeTriggerRequestSchema, "id" | "token"> = {},
    ): Promise<Acknowledged> => {
      const answer = await caller.call(method.acknowledgeTrigger, { ...options, id, token });
      return { ...answer, trigger: required(answer.trigger, "trigger") };
    },

    /**
     * Cancels triggers that have not ended: `triggers.discard({ kind: "CATCHUP" })`.
     *
     * @example
     * ```ts
     * await easycron.triggers.discard({ job: "payroll", kind: "CATCHUP" });
     * ```
     */
    discard: (request: Options<typeof DiscardTriggersRequestSchema>) =>
      caller.call(method.discardTriggers, request),

    /**
     * Delivers a trigger again that has ended, such as a dead letter, under the same id. Triggers that have SUCCEEDED
     * need `force`.
     *
     * @example
     * ```ts
     * const trigger = await easycron.triggers.replay("trg_h8y7dk7ek4fs5qrt3mqt9ek1v4");
     * console.log(trigger.state, trigger.revision);
     * ```
     */
    replay: async (
      id: string,
      options: Options<typeof ReplayTriggerRequestSchema, "id"> = {},
    ): Promise<Trigger> => {
      const { trigger } = await caller.call(method.replayTrigger, { ...options, id });
      return required(trigger, "trigger");
    },

    /**
     * Delivers triggers again that have ended, such as all dead letters of a job. It goes on after the call:
     * `const done = await (await triggers.replayAll({ job })).wait()`.
     *
     * @example
     * ```ts
     * const operation = await easycron.triggers.replayAll({ job: "payroll", maxPerSecond: 20 });
     * const { metadata } = await operation.wait();
     * console.log(metadata?.doneCount);
     * ```
     */
    replayAll: async (
      options: Options<typeof ReplayTriggersRequestSchema> = {},
    ): Promise<RunningOperation> => {
      const { operation } = await caller.call(method.replayTriggers, options);
      return toRunning(caller, required(operation, "operation"));
    },
  };
}
