import { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { createEgressAgent, type EgressOptions } from "../../mesh/egress.ts";
import { createResolver, readHosts } from "../../mesh/egress-lookup.ts";
import { createGrpcClient, type GrpcClient } from "../../mesh/grpc-client.ts";
import { createTlsSessions } from "../../mesh/tls-sessions.ts";
import { type CertificateAgents, createCertificateAgents } from "./certificate-agents.ts";
import { watchConnections } from "./connection-watch.ts";
import { createPluginDelivery, type PluginDelivery, type PluginDeliveryParts } from "./plugin-delivery.ts";
import type { WebhookParts } from "./webhook.ts";

/** Most agents for client certificates that are kept while nobody uses them. */
const MAX_CERTIFICATE_AGENTS = 256;
const CONNECT_TIMEOUT_MS = 5_000;
const PLUGINS_DEADLINE_MS = 30_000;
/** Most idle connections to one origin. A project has at most 64 requests in flight to it by default. */
const IDLE_PER_ORIGIN = 256;
/** Most TLS sessions that are kept, one for each host and port: 0.8 KB each and more, with the server's certificates. */
const MAX_SESSIONS = 4_096;

/** The connections over which attempts are sent. */
export interface DeliveryClients {
  readonly webhook: WebhookParts;
  /** The agents for targets with a client certificate. */
  readonly certificates: CertificateAgents;
  readonly plugins: PluginDelivery;
  /** Aborts the attempts that are still in flight and closes all connections. */
  close(): Promise<void>;
}

/** The part of the configuration that concerns the clients. */
export interface ClientSettings {
  /** Address ranges that webhooks may reach although they are not public. */
  readonly egressAllow: EgressOptions["allow"];
  /** What webhooks never reach. */
  readonly egressDeny: EgressOptions["deny"];
  /** Default: the machine's DNS servers. */
  readonly resolver?: EgressOptions["resolver"];
  /** Attempts in flight in all. */
  readonly deliveryConcurrency: number;
  /** Most idle connections in all. */
  readonly idleConnections: number;
  /** Empty when there is no plugin delivery. */
  readonly pluginsAddresses: readonly string[];
}

/** Makes the HTTP agent for webhooks and the client of the plugin-delivery services. */
export function createDeliveryClients(
  settings: ClientSettings,
  userAgent: string,
  listeners: Pick<PluginDeliveryParts, "onFailed" | "onRecovered">,
): DeliveryClients {
  const shared = {
    allow: settings.egressAllow,
    deny: settings.egressDeny,
    resolver: settings.resolver ?? createResolver(CONNECT_TIMEOUT_MS),
    hosts: readHosts(),
    // Lanes limit how much one project sends to an origin. Projects that share an origin must not wait for each other,
    // so the agent itself sets no lower limit.
    connectionsPerOrigin: settings.deliveryConcurrency,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
  const egress = { ...shared, sessions: createTlsSessions(MAX_SESSIONS) };
  const agent = createEgressAgent(egress);
  const freshAgent = createEgressAgent({ ...egress, keepAlive: false });
  const certificates = createCertificateAgents({
    create: (identity, keepAlive) => createEgressAgent({ ...shared, identity, keepAlive }),
    max: MAX_CERTIFICATE_AGENTS,
  });
  const connections = watchConnections({ total: settings.idleConnections, perOrigin: IDLE_PER_ORIGIN });
  const client = createPluginsClient(settings.pluginsAddresses);
  const plugins = createPluginDelivery({ client, ...listeners });
  return {
    webhook: { agent, freshAgent, connections, userAgent },
    certificates,
    plugins,
    close: async () => {
      plugins.close();
      client?.close();
      await Promise.all([agent.destroy(), freshAgent.destroy(), certificates.close()]);
      connections.stop();
    },
  };
}

// The client connects with its first call. So a plugin that nobody uses costs no connection.
function createPluginsClient(addresses: readonly string[]): GrpcClient<typeof PluginsService> | undefined {
  if (addresses.length === 0) return undefined;
  return createGrpcClient(PluginsService, { addresses, deadlineMs: PLUGINS_DEADLINE_MS });
}
