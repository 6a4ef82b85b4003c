import type { Seen } from "../../db/internal-redis/seen.ts";
import type { Queryable } from "../../db/pool.ts";
import type { Shares } from "../../db/shares.ts";
import { toSqlTime } from "../../db/time.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { readTrigger } from "../reading/read-triggers.ts";
import type { TriggerView } from "../reading/reads.sql.ts";
import { LONGEST_WAIT_MS } from "../results/accepted.sql.ts";
import { type ClaimedToken, isGenuine, parseToken } from "../tokens/token.ts";
import type { TokenKeys } from "../tokens/token-keys.ts";
import { acknowledgeOtherwise, acknowledgeSuccess } from "./acknowledging.sql.ts";
import { explainLate } from "./explain-late.ts";
import { type FailParts, failIfOverdue } from "./fail-accepted.ts";

/** What an acknowledgement says. */
export interface Acknowledged {
  /** trg_…. */
  readonly id: string;
  readonly token: string;
  readonly outcome: "SUCCEEDED" | "FAILED" | "EXTENDED";
  readonly message: string;
  /** How long from now the trigger is to wait at least, after EXTENDED; 0 otherwise. */
  readonly extendByMs: number;
}

/** What became of an acknowledgement. */
export interface AcknowledgeAnswer {
  readonly projectId: string;
  /** The trigger as it is now. */
  readonly trigger: TriggerView;
  /** What happened instead, if the acknowledgement came too late to count; else empty. */
  readonly late: string;
}

/** What acknowledging needs. */
export interface AcknowledgeParts extends FailParts {
  /** For calls of customers. */
  readonly apiDatabase: Shares;
  readonly tokenKeys: Pick<TokenKeys, "get" | "find">;
  /** Which acknowledgements were lately recorded. */
  readonly seen: Seen;
}

/** The share of connections over which keys are read that a caller has named whom nobody knows yet. */
const STRANGERS = "acknowledgements";
const LONGEST_WAIT = `${LONGEST_WAIT_MS} ms`;

/**
 * Acknowledges an attempt. May be repeated. The token is checked before anything about the trigger is read, and then the
 * call uses the connections of the token's project. Throws ACKNOWLEDGEMENT_TOKEN_INVALID, with one text whatever is
 * wrong, TOO_MANY_CALLS, and SERVICE_UNAVAILABLE.
 */
export async function acknowledge(
  parts: AcknowledgeParts,
  given: Acknowledged,
  signal: AbortSignal,
): Promise<AcknowledgeAnswer> {
  const { projectId, attempt } = await checkToken(parts, given, signal);
  const database = parts.apiDatabase.of(projectId, signal);
  const subject = ["acknowledgement", given.id, String(attempt), given.outcome];
  if (await parts.seen.has(subject)) {
    const trigger = await readGenuine(database, projectId, given.id);
    // No acknowledgement changes a trigger that has ended, so a repeated one needs no transaction that writes.
    if (trigger.end_time !== null)
      return { projectId, trigger, late: explainLate(trigger, attempt, given.outcome) };
  }
  const counts = await record(parts, database, { given, projectId, attempt });
  parts.seen.note(subject);
  const { outcome } = given;
  parts.events.emit("acknowledged", { outcome, counts, hasEnded: counts && outcome === "SUCCEEDED" });
  const trigger = await readGenuine(database, projectId, given.id);
  return { projectId, trigger, late: counts ? "" : explainLate(trigger, attempt, given.outcome) };
}

async function checkToken(
  { apiDatabase, tokenKeys }: AcknowledgeParts,
  { id, token }: Acknowledged,
  signal: AbortSignal,
): Promise<ClaimedToken> {
  const claimed = parseToken(token);
  if (claimed === undefined) throw failure("ACKNOWLEDGEMENT_TOKEN_INVALID");
  const { projectId } = claimed;
  const key =
    tokenKeys.get(projectId) ?? (await tokenKeys.find(apiDatabase.of(STRANGERS, signal), projectId));
  if (key === undefined || !isGenuine(key, id, claimed)) throw failure("ACKNOWLEDGEMENT_TOKEN_INVALID");
  return claimed;
}

/** Returns whether the acknowledgement counts. */
async function record(
  parts: AcknowledgeParts,
  database: Queryable,
  { given, projectId, attempt }: { given: Acknowledged; projectId: string; attempt: number },
): Promise<boolean> {
  const { id, outcome, extendByMs } = given;
  const nowMs = parts.clock.now();
  const now = toSqlTime(nowMs);
  // PostgreSQL can store neither U+0000 nor half of a surrogate pair.
  const message = given.message.replaceAll("\0", "\ufffd").toWellFormed();
  if (outcome === "SUCCEEDED") {
    const [ended] = await database.query(acknowledgeSuccess, [id, projectId, attempt, now, message]);
    if (ended !== undefined) parts.onEnded({ jobUid: ended.job_uid, revision: ended.revision });
    return ended !== undefined;
  }
  const until = outcome === "EXTENDED" ? toSqlTime(nowMs + extendByMs) : null;
  const values = [id, projectId, attempt, now, outcome, message, until, LONGEST_WAIT];
  const [changed] = await database.query(acknowledgeOtherwise, values);
  // If this fails, the next look for deadlines does it.
  if (changed?.state === "ACCEPTED" && outcome === "FAILED") await failIfOverdue(parts, database, id);
  return changed !== undefined;
}

async function readGenuine(database: Queryable, projectId: string, id: string): Promise<TriggerView> {
  try {
    return await readTrigger(database, projectId, id);
  } catch (error) {
    // Its token was genuine, but the trigger is older than what is kept.
    if (error instanceof EasyCronError && error.reason === "TRIGGER_NOT_FOUND")
      throw failure("ACKNOWLEDGEMENT_TOKEN_INVALID");
    throw error;
  }
}
