import type { Database } from "../../db/pool.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Logger } from "../../mesh/logger.ts";
import { apiKeyNoteUse } from "./api-keys.sql.ts";

/** Writes down when API keys are used. */
export interface KeyUses {
  /** Writes that a key is used now. Returns at once, and never throws. */
  note(keyId: string): void;
}

/** What writing down uses needs. */
export interface KeyUsesParts {
  readonly database: Pick<Database, "query">;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Most statements at the same time. Calls need the other connections. */
const MAX_AT_ONCE = 2;
const PAUSE_AFTER_FAILURE_MS = 10_000;

/**
 * Creates the writer. While two uses are being written, and for ten seconds after a failure, it writes nothing. Then the
 * next call with the key is noted instead.
 */
export function createKeyUses({ database, logger, clock }: KeyUsesParts): KeyUses {
  const writing = new Set<string>();
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
  const write = async (keyId: string): Promise<void> => {
    try {
      await database.query(apiKeyNoteUse, [keyId]);
    } catch (error) {
      pausedUntilMs = clock.now() + PAUSE_AFTER_FAILURE_MS;
      logger.warn({ keyId, err: error }, "the last use of an API key was not written; a later one will be");
    } finally {
      writing.delete(keyId);
    }
  };
  return {
    note: (keyId) => {
      if (writing.has(keyId) || writing.size >= MAX_AT_ONCE || clock.now() < pausedUntilMs) return;
      writing.add(keyId);
      void write(keyId);
    },
  };
}
