import { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { createEgressAgent, type EgressOptions } from "../../mesh/egress.ts";
import { createGrpcClient } from "../../mesh/grpc-client.ts";
import { watchConnections } from "./connection-watch.ts";
import { createPluginDelivery, type PluginDelivery } from "./plugin-delivery.ts";
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
  readonly pluginsAddresses: readonly string[];
}

/** Makes the HTTP agent for webhooks and the client of the plugin-delivery services. */
export function createDeliveryClients(settings: ClientSettings, userAgent: string): DeliveryClients {
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
  const plugins = createGrpcClient(PluginsService, {
    addresses: settings.pluginsAddresses,
    deadlineMs: PLUGINS_DEADLINE_MS,
  });
  return {
    webhook: { agent, freshAgent, connections, userAgent },
    plugins: createPluginDelivery(plugins),
    close: async () => {
      await Promise.all([agent.destroy(), freshAgent.destroy()]);
      connections.stop();
      plugins.close();
    },
  };
}
