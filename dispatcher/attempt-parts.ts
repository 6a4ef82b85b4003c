import type { Clock } from "../mesh/clock.ts";
import { denyOwnHost, toRangeTexts } from "../mesh/egress-address.ts";
import type { Logger } from "../mesh/logger.ts";
import { createAccessTokens } from "./access-tokens/access-tokens.ts";
import { fetchToken } from "./access-tokens/fetch-token.ts";
import type { DispatcherConfig } from "./config.ts";
import type { AttemptParts } from "./delivery/attempt.ts";
import { createDeliveryClients, type DeliveryClients } from "./delivery/clients.ts";
import { explainUnsent } from "./delivery/failure-words.ts";
import type { WebhookParts } from "./delivery/webhook.ts";
import type { Events } from "./events/events.ts";
import type { Lease } from "./instances/lease.ts";
import { attemptsFor, idleConnectionsFor, readLimits } from "./open-files.ts";
import type { Pools } from "./pools.ts";
import type { MasterKeys } from "./signing-keys/master-keys.ts";
import type { SigningKeys } from "./signing-keys/signing-keys.ts";
import { createTargetSecrets } from "./target-secrets/target-secrets.ts";
import type { TokenKeys } from "./tokens/token-keys.ts";
import { readVersion } from "./version.ts";

const CACHED_SECRET_BYTES = 32 * 1024 * 1024;
const CACHED_TOKEN_BYTES = 16 * 1024 * 1024;

/** The connections over which attempts are sent, and how many attempts they allow at once. */
export interface Sending {
  readonly clients: DeliveryClients;
  /** Most attempts in flight: as configured, or fewer if the process may not open so many files. */
  readonly deliveryConcurrency: number;
}

/** Makes the connections. Logs what the configuration asks for and does not get, and what it allows beyond the default. */
export function createSending(config: DispatcherConfig, events: Events, logger: Logger): Sending {
  const openFiles = readLimits();
  const deliveryConcurrency = attemptsFor(config.deliveryConcurrency, openFiles);
  if (deliveryConcurrency < config.deliveryConcurrency) {
    const fields = { configured: config.deliveryConcurrency, used: deliveryConcurrency };
    logger.warn(fields, "the limit of open files is too low for the attempts in flight that are configured");
  }
  if (config.egressAllow.length > 0) {
    const ranges = toRangeTexts(config.egressAllow);
    logger.warn(
      { ranges },
      "webhooks may reach addresses that are not public, as EASYCRON_EGRESS_ALLOW says",
    );
  }
  if (config.publicUrl === undefined)
    logger.info({}, "EASYCRON_PUBLIC_URL is not set, so no webhook has the header easycron-ack-url");
  const idleConnections = idleConnectionsFor(config.idleConnections, deliveryConcurrency, openFiles);
  const egressDeny = denyOwnHost(config.egressDeny, config.publicUrl);
  const settings = { ...config, egressDeny, idleConnections };
  const clients = createDeliveryClients(settings, `EasyCron/${readVersion()}`, {
    onFailed: (plugin, error) => events.emit("trouble", { part: `delivery to ${plugin}`, error }),
    onRecovered: (plugin, failures) => events.emit("recovered", { part: `delivery to ${plugin}`, failures }),
  });
  return { clients, deliveryConcurrency };
}

/** What the parts of an attempt are made from. */
export interface AttemptSources {
  readonly clients: DeliveryClients;
  /** The connections for secrets of targets. */
  readonly database: Pools["secrets"];
  readonly masterKeys: MasterKeys;
  readonly signingKeys: SigningKeys;
  readonly tokenKeys: TokenKeys;
  readonly publicUrl: string | undefined;
  readonly clock: Clock;
  /** A clock that never steps, such as performance.now. */
  readonly monotonicMs: () => number;
  readonly lease: Lease;
  readonly events: Events;
  readonly traceparentOf: NonNullable<WebhookParts["traceparentOf"]>;
}

/** Makes what an attempt needs: connections, keys, secrets and access tokens. */
export function createAttemptParts(sources: AttemptSources): AttemptParts {
  const { clients, database, masterKeys, signingKeys, tokenKeys, publicUrl } = sources;
  const { clock, monotonicMs, lease, events } = sources;
  const { webhook, certificates, plugins } = clients;
  const asking = { agent: webhook.freshAgent, userAgent: webhook.userAgent, explainUnsent };
  return {
    webhook: { ...webhook, traceparentOf: sources.traceparentOf },
    certificates,
    plugins,
    signingKeys,
    targetSecrets: createTargetSecrets({ masterKeys, database }, CACHED_SECRET_BYTES),
    accessTokens: createAccessTokens({
      fetch: (client, secret) => fetchToken(asking, client, secret),
      monotonicMs,
      maxBytes: CACHED_TOKEN_BYTES,
    }),
    acknowledgement: { tokenKeys, publicUrl },
    onTrouble: (error) => events.emit("trouble", { part: "reading a target's secret", error }),
    clock,
    isOwner: () => lease.isValid(),
  };
}
