import { type Caller, type Options, required } from "../caller.ts";
import {
  type DiscardTriggersRequestSchema,
  type GetTriggerRequestSchema,
  type ListAttemptsRequestSchema,
  type ListTriggersRequestSchema,
  TriggerService,
} from "../gen/easycron/v1/trigger_service_pb.ts";
import { createList } from "../list.ts";
import type { Attempt, Trigger } from "../resources.ts";

const { method } = TriggerService;

/** Makes the methods of triggers. */
export function createTriggers(caller: Caller) {
  return {
    /** Returns one trigger. */
    get: async (
      id: string,
      options: Options<typeof GetTriggerRequestSchema, "id"> = {},
    ): Promise<Trigger> => {
      const { trigger } = await caller.call(method.getTrigger, { ...options, id });
      return required(trigger, "trigger");
    },

    /** Lists triggers, newest first: `triggers.list({ job: "payroll", state: "EXHAUSTED" })`. */
    list: (options: Options<typeof ListTriggersRequestSchema> = {}) =>
      createList(caller, method.listTriggers, options, (page): readonly Trigger[] => page.triggers),

    /** Lists the attempts of one trigger that have ended, first to last. */
    listAttempts: (trigger: string, options: Options<typeof ListAttemptsRequestSchema, "trigger"> = {}) =>
      createList(
        caller,
        method.listAttempts,
        { ...options, trigger },
        (page): readonly Attempt[] => page.attempts,
      ),

    /** Cancels triggers that have not ended: `triggers.discard({ kind: "CATCHUP" })`. */
    discard: (request: Options<typeof DiscardTriggersRequestSchema>) =>
      caller.call(method.discardTriggers, request),
  };
}
