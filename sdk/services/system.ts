import type { Caller, Options } from "../caller.ts";
import { type GetServerInfoRequestSchema, SystemService } from "../gen/easycron/v1/system_service_pb.ts";

/** Makes the methods of the server itself. */
export function createSystem(caller: Caller) {
  return {
    /**
     * Returns the server's version, its time zone data and its limits.
     *
     * @example
     * ```ts
     * const { version, limits } = await easycron.system.getServerInfo();
     * console.log(version, limits?.maxSchedules);
     * ```
     */
    getServerInfo: (options: Options<typeof GetServerInfoRequestSchema> = {}) =>
      caller.call(SystemService.method.getServerInfo, options),
  };
}
