import { createHash } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Dispatcher } from "undici";
import type { WebhookParts } from "./webhook.ts";

/** The agents of one client certificate and one origin. */
export type CertificateAgentPair = Pick<WebhookParts, "agent" | "freshAgent">;

/** Whose certificate is shown to whom. */
export interface CertificateKey {
  readonly projectId: string;
  /** Scheme, host and port of the target. */
  readonly origin: string;
  /** The certificate in PEM, with those of its intermediate authorities. */
  readonly certificate: string;
  /** The id of its private key, sec_…. */
  readonly secretId: string;
}

/** A certificate and a private key cannot be used together. The cause is the error of OpenSSL. */
export class UnusableCertificate extends Error {
  override readonly name = "UnusableCertificate";
}

/** Agents that show a client certificate. */
export interface CertificateAgents {
  /**
   * Calls `work` with the agents of a certificate, and keeps them until its promise settles. Rejects like `work`, and with
   * UnusableCertificate, without calling it, if the certificate and the private key cannot be used together.
   */
  use<T>(
    key: CertificateKey,
    privateKey: string,
    work: (agents: CertificateAgentPair) => Promise<T>,
  ): Promise<T>;
  /** Aborts what is in flight and closes all connections. */
  close(): Promise<void>;
}

/** What the agents need. */
export interface CertificateAgentsParts {
  /** Makes an agent of `createEgressAgent` that shows the certificate, and shares no TLS session with another. */
  readonly create: (identity: SecureContext, keepAlive: boolean) => Dispatcher;
  /** The agents above this number that nobody uses are closed, the ones that were used first before the others. */
  readonly max: number;
}

interface Entry {
  readonly agents: CertificateAgentPair;
  users: number;
}

/**
 * Makes agents of their own for each project, origin, certificate and key. So a connection with a certificate is never
 * shared with another project, with another certificate, or with a webhook without one.
 */
export function createCertificateAgents({ create, max }: CertificateAgentsParts): CertificateAgents {
  const entries = new Map<string, Entry>();

  const closeUnused = (): void => {
    for (const [name, { users, agents }] of entries) {
      if (entries.size <= max) return;
      if (users > 0) continue;
      entries.delete(name);
      destroy(agents);
    }
  };
  const find = (name: string, certificate: string, privateKey: string): Entry => {
    const known = entries.get(name);
    if (known !== undefined) {
      entries.delete(name);
      return known;
    }
    const identity = identityOf(certificate, privateKey);
    return { agents: { agent: create(identity, true), freshAgent: create(identity, false) }, users: 0 };
  };

  return {
    use: async (key, privateKey, work) => {
      const name = nameOf(key);
      const entry = find(name, key.certificate, privateKey);
      entries.set(name, entry);
      entry.users += 1;
      closeUnused();
      try {
        return await work(entry.agents);
      } finally {
        entry.users -= 1;
        closeUnused();
      }
    },
    close: async () => {
      await Promise.all([...entries.values()].map(({ agents }) => destroy(agents)));
    },
  };
}

function identityOf(certificate: string, privateKey: string): SecureContext {
  try {
    return createSecureContext({ cert: certificate, key: privateKey });
  } catch (cause) {
    throw new UnusableCertificate("The certificate and its key cannot be used together.", { cause });
  }
}

function destroy({ agent, freshAgent }: CertificateAgentPair): Promise<unknown> {
  return Promise.all([agent.destroy(), freshAgent.destroy()]);
}

function nameOf({ projectId, origin, certificate, secretId }: CertificateKey): string {
  const hash = createHash("sha256").update(certificate).digest("base64");
  return JSON.stringify([projectId, origin, secretId, hash]);
}
