import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CredentialSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import {
  type CredentialRow,
  credentialInsert,
  credentialsExpire,
  credentialsKeepOnly,
  credentialsValid,
} from "./credentials.sql.ts";
import { type KindName, toKind } from "./kinds.ts";
import { type Lease, toInnerOptions, writeUnder } from "./lease.ts";
import { readLimits } from "./limits.ts";
import { type PluginParts, sqlNow } from "./parts.ts";
import type { NewCredential } from "./password.ts";
import { type PluginRow, pluginFinishProvision } from "./plugins.sql.ts";
import { readTopics } from "./topics.ts";

/**
 * How long after a success a plugin is set up again, in milliseconds. A Redis that restarts forgets its users; Kafka keeps
 * them.
 */
const AGAIN_MS: Readonly<Record<KindName, number>> = { REDIS: 60_000, KAFKA: 600_000 };

/** What differs from the credentials in the database. */
export interface CredentialChange {
  /** New credentials. Their password is not in the database before the broker has it. */
  readonly fresh?: NewCredential;
  /** How many of the valid credentials stay, the newest first. Default: all. */
  readonly keep?: number;
  /** In how many milliseconds the credentials that stay end. */
  readonly expireMs?: number;
}

/** What the broker has now. */
export interface Provisioned {
  /** The numbers of the credentials of the database that it still has. */
  readonly kept: readonly number[];
  /** Whether it lets customers only read and delete. */
  readonly isReadOnly: boolean;
}

/**
 * Makes the broker as the row says, with the valid credentials of the database and the change. It can be repeated. Throws
 * what plugin delivery throws.
 */
export async function provision(
  parts: PluginParts,
  lease: Lease,
  { fresh, keep }: CredentialChange = {},
): Promise<Provisioned> {
  const { kind, projectId, row } = lease;
  const rows = await parts.database.query(credentialsValid, [projectId, sqlNow(parts)]);
  const valid = rows.filter((each) => each.kind === kind).slice(0, keep);
  const { missingUsernames } = await parts.delivery.provision(
    {
      kind: toKind(kind),
      projectId,
      limits: readLimits(row.limits),
      credentials: [...valid.map(toSent), ...(fresh === undefined ? [] : [fresh.sent])],
      topics: readTopics(row.topics),
      deletedTopics: [...row.deleted_topics],
      isReadOnly: row.is_read_only,
    },
    toInnerOptions(lease),
  );
  const missing = valid.filter(({ username }) => missingUsernames.includes(username));
  if (missing.length > 0) {
    const usernames = missing.map(({ username }) => username);
    parts.logger.warn({ projectId, kind, usernames }, "the broker has lost credentials; they have ended");
  }
  const kept = valid.filter((each) => !missing.includes(each)).map(({ number }) => number);
  return { kept, isReadOnly: row.is_read_only };
}

/**
 * Takes all access to a plugin away, and keeps its data. It can be repeated. A Redis takes no triggers either: a job that is
 * resumed would fill a space that nobody measures any more.
 */
export async function takeAccessAway({ delivery }: PluginParts, lease: Lease): Promise<void> {
  const { kind, projectId, row } = lease;
  const limits = readLimits(row.limits);
  await delivery.provision(
    { kind: toKind(kind), projectId, limits, isReadOnly: true },
    toInnerOptions(lease),
  );
}

/**
 * Writes that the broker is as the row says: the plugin is ENABLED, has the credentials that the broker has, and the lease
 * ends. Throws SERVICE_UNAVAILABLE if the lease had ended before; then nothing is written.
 */
export async function finishProvision(
  parts: PluginParts,
  lease: Lease,
  { kept, isReadOnly }: Provisioned,
  { fresh, expireMs }: CredentialChange = {},
  endpoint: string | null = null,
): Promise<PluginRow> {
  const { projectId, kind, row } = lease;
  const now = sqlNow(parts);
  return await parts.database.transaction(async (tx) => {
    await tx.query(credentialsKeepOnly, [projectId, kind, kept]);
    if (expireMs !== undefined) await tx.query(credentialsExpire, [projectId, kind, expireMs, now]);
    if (fresh !== undefined) {
      const { number, username, sha256 } = fresh;
      await tx.query(credentialInsert, [projectId, kind, number, username, sha256, now]);
    }
    const values = [endpoint, reasonOf(row), isReadOnly, AGAIN_MS[kind], now];
    return await writeUnder(tx, lease, pluginFinishProvision, values);
  });
}

/** Why nothing can be written now; empty if it can. */
function reasonOf({ is_read_only, used_bytes, used_keys, limits }: PluginRow): string {
  if (!is_read_only) return "";
  const { maxBytes, maxKeys } = readLimits(limits);
  return (
    `The limits are used up: ${used_bytes} of ${maxBytes} bytes, ${used_keys} of ${maxKeys} keys. ` +
    "Triggers are rejected, and clients can only read and delete, until less than 90 % is used."
  );
}

function toSent({ username, password_sha256 }: CredentialRow): MessageInitShape<typeof CredentialSchema> {
  return password_sha256 === null ? { username } : { username, passwordSha256: password_sha256 };
}
