import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { pageTokenInvalid, readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { type SigningKeyRow, signingKeysBefore } from "./signing-keys.sql.ts";

const DEFAULT_PAGE_SIZE = 50;

/** A page of signing keys, newest first. */
export interface SigningKeyPage {
  readonly keys: readonly SigningKeyRow[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Lists the signing keys of a project. Throws PAGE_TOKEN_INVALID and SERVICE_UNAVAILABLE. */
export async function listSigningKeys(
  database: Queryable,
  projectId: string,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): Promise<SigningKeyPage> {
  const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
  const list = ["signingKeys", projectId];
  const before = readPlace(readPageToken(list, pageToken), pageToken);
  const rows = await database.query(signingKeysBefore, [projectId, ...before, size + 1]);
  const keys = rows.slice(0, size);
  const last = rows.length > size ? keys.at(-1) : undefined;
  return {
    keys,
    nextPageToken: last === undefined ? "" : toPageToken(list, `${last.create_time}:${last.id}`),
  };
}

/** Returns the time, as PostgreSQL reads it, and the id of the last key of the page before; nulls on the first page. */
function readPlace(key: string, pageToken: string): readonly [string | null, string | null] {
  if (key === "") return [null, null];
  const [, ms, id] = /^(\d{1,15}):(sk_[a-z0-9]{1,40})$/.exec(key) ?? [];
  if (ms === undefined || id === undefined) throw pageTokenInvalid(pageToken);
  return [toSqlTime(Number(ms)), id];
}
