import { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { createEgressAgent, type EgressOptions } from "../../mesh/egress.ts";
import { createGrpcClient, type GrpcClient } from "../../mesh/grpc-client.ts";
import { watchConnections } from "./connection-watch.ts";
import { createPluginDelivery, type PluginDelivery, type PluginDeliveryParts } from "./plugin-delivery.ts";
import type { WebhookParts } from "./webhook.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const PLUGINS_DEADLINE_MS = 30_000;

/** The connections over which attempts are sent. */
export interface DeliveryClients {
  readonly webhook: WebhookParts;
  readonly plugins: PluginDelivery;
  /** Aborts the attempts that are still in flight and closes all connections. */
  close(): Promise<void>;
}

/** The part of the configuration that concerns the clients. */
export interface ClientSettings {
  /** Address ranges that webhooks may reach although they are not public. */
  readonly egressAllow: EgressOptions["allow"];
  /** Attempts in flight in all. */
  readonly deliveryConcurrency: number;
  /** Empty when there is no plugin delivery. */
  readonly pluginsAddresses: readonly string[];
}

/** Makes the HTTP agent for webhooks and the client of the plugin-delivery services. */
export function createDeliveryClients(
  settings: ClientSettings,
  userAgent: string,
  listeners: Pick<PluginDeliveryParts, "onFailed" | "onRecovered">,
): DeliveryClients {
  const egress = {
    allow: settings.egressAllow,
    // Lanes limit how much one project sends to an origin. Projects that share an origin must not wait for each other,
    // so the agent itself sets no lower limit.
    connectionsPerOrigin: settings.deliveryConcurrency,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
  const agent = createEgressAgent(egress);
  const freshAgent = createEgressAgent({ ...egress, keepAlive: false });
  const connections = watchConnections();
  const client = createPluginsClient(settings.pluginsAddresses);
  const plugins = createPluginDelivery({ client, ...listeners });
  return {
    webhook: { agent, freshAgent, connections, userAgent },
    plugins,
    close: async () => {
      plugins.close();
      client?.close();
      await Promise.all([agent.destroy(), freshAgent.destroy()]);
      connections.stop();
    },
  };
}

// The client connects with its first call. So a plugin that nobody uses costs no connection.
function createPluginsClient(addresses: readonly string[]): GrpcClient<typeof PluginsService> | undefined {
  if (addresses.length === 0) return undefined;
  return createGrpcClient(PluginsService, { addresses, deadlineMs: PLUGINS_DEADLINE_MS });
}
