import { type Caller, type Options, required } from "../caller.ts";
import {
  type CancelOperationRequestSchema,
  type GetOperationRequestSchema,
  type ListOperationsRequestSchema,
  OperationService,
} from "../gen/easycron/v1/operation_service_pb.ts";
import { createList } from "../list.ts";
import { type RunningOperation, readOperation, toRunning, type WaitOptions } from "./running-operation.ts";

const { method } = OperationService;

/** Makes the methods of operations. */
export function createOperations(caller: Caller) {
  return {
    /**
     * Returns one operation.
     *
     * @example
     * ```ts
     * const operation = await easycron.operations.get("op_01jd3k8z5me9t8r7q6p5n4m3k2");
     * console.log(operation.state);
     * ```
     */
    get: async (
      id: string,
      options: Options<typeof GetOperationRequestSchema, "id"> = {},
    ): Promise<RunningOperation> => toRunning(caller, await readOperation(caller, id, options)),

    /**
     * Waits until an operation has ended. See RunningOperation.wait.
     *
     * @example
     * ```ts
     * await easycron.operations.wait("op_01jd3k8z5me9t8r7q6p5n4m3k2", { timeoutMs: 60_000 });
     * ```
     */
    wait: async (id: string, options: WaitOptions = {}) => {
      const operation = await readOperation(caller, id, { signal: options.signal });
      return toRunning(caller, operation).wait(options);
    },

    /**
     * Lists the project's operations.
     *
     * @example
     * ```ts
     * for await (const { id, state } of easycron.operations.list()) console.log(id, state);
     * ```
     */
    list: (options: Options<typeof ListOperationsRequestSchema> = {}) =>
      createList(caller, method.listOperations, options, (page): readonly RunningOperation[] =>
        page.operations.map((operation) => toRunning(caller, operation)),
      ),

    /**
     * Ends an operation before it is complete.
     *
     * @example
     * ```ts
     * await easycron.operations.cancel("op_01jd3k8z5me9t8r7q6p5n4m3k2");
     * ```
     */
    cancel: async (
      id: string,
      options: Options<typeof CancelOperationRequestSchema, "id"> = {},
    ): Promise<RunningOperation> => {
      const { operation } = await caller.call(method.cancelOperation, { ...options, id });
      return toRunning(caller, required(operation, "operation"));
    },
  };
}
