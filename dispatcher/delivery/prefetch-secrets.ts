import type { AttemptParts } from "./attempt.ts";
import type { Spec } from "./spec.ts";

/**
 * Reads what an attempt needs besides the signing keys, unless it is in memory: the secrets of the target, and the key of
 * its acknowledgement token. What fails here is read when the attempt is made.
 */
export function prefetchSecrets(
  { targetSecrets, acknowledgement }: Pick<AttemptParts, "targetSecrets" | "acknowledgement">,
  projectId: string,
  { target, acknowledgeWithinMs }: Pick<Spec, "target" | "acknowledgeWithinMs">,
): void {
  if (target.kind !== "webhook") return;
  // A target with any secret has a list of secret headers, even if it is empty. Most triggers end here.
  if (target.secretHeaders === undefined && acknowledgeWithinMs === undefined) return;
  for (const id of secretIdsOf(target)) {
    const key = { projectId, id };
    if (targetSecrets.get(key) === undefined) targetSecrets.load(key).catch(() => {});
  }
  const { tokenKeys } = acknowledgement;
  if (acknowledgeWithinMs !== undefined && tokenKeys.get(projectId) === undefined) {
    tokenKeys.load(projectId).catch(() => {});
  }
}

function* secretIdsOf(target: Extract<Spec["target"], { kind: "webhook" }>): Generator<string> {
  const { secretHeaders, tokenClient, clientCertificate } = target;
  for (const { secretId } of secretHeaders ?? []) yield secretId;
  if (tokenClient !== undefined) yield tokenClient.secretId;
  if (clientCertificate !== undefined) yield clientCertificate.secretId;
}
