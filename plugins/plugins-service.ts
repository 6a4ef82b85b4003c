import type { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";

/** Creates the handlers of PluginsService. No plugin exists yet, so all throw METHOD_UNIMPLEMENTED. */
export function createPluginsService(): ServiceImplementation<typeof PluginsService> {
  const refuse = (method: string) => async () => {
    throw failure("METHOD_UNIMPLEMENTED", { method: `PluginsService/${method}` });
  };
  return {
    deliver: refuse("Deliver"),
    describePlugins: refuse("DescribePlugins"),
    provision: refuse("Provision"),
    remove: refuse("Remove"),
    measureUsage: refuse("MeasureUsage"),
  };
}
