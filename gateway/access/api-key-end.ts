import type { ApiKeyRow } from "./api-keys.sql.ts";

/** Says when a key ended, as a sentence without its subject: "was revoked at 2027-01-01T09:00:00.000Z.". */
export function describeEnd(key: Pick<ApiKeyRow, "expire_time" | "revoke_time">): string {
  if (key.revoke_time !== null) return `was revoked at ${toText(key.revoke_time)}.`;
  return `expired at ${toText(key.expire_time ?? 0)}, because it was rotated.`;
}

function toText(ms: number): string {
  return new Date(ms).toISOString();
}
