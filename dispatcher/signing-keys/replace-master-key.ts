import { isItemFault } from "../../db/item-fault.ts";
import type { Database } from "../../db/pool.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Wanted } from "../../mesh/loop.ts";
import { dataKeysOfOthers, dataKeysRewrap } from "./data-keys.sql.ts";
import { lockDataKey, unwrapDataKey, wrapDataKey } from "./data-keys.ts";
import {
  masterKeyState,
  masterKeyUse,
  type OldFormatRow,
  projectsWithOldFormat,
  signingKeyReseal,
  signingKeysOfOldFormat,
} from "./master-key.sql.ts";
import { type MasterKeys, openWithAny } from "./master-keys.ts";
import { sealSecret } from "./signing-secret.ts";

/** What replacing the master key needs. */
export interface ReplaceParts {
  readonly database: Database;
  readonly masterKeys: MasterKeys;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** A clock that never steps, such as performance.now. */
  readonly monotonicMs: () => number;
  /** Called when a key cannot be opened. The others are sealed anew all the same. */
  readonly onTrouble: (error: unknown) => void;
}

/** How often `createMasterKeyReplacement` should run, in milliseconds. */
export const REPLACE_EVERY_MS = 5_000;

/** Most data keys, or projects with keys of an earlier version, that one run seals anew. */
const AT_ONCE = 100;
/** After a key could not be opened, the next try of all begins so much later. */
const TROUBLE_PAUSE_MS = 600_000;

/** Work through projects in the order of their ids, part by part. */
interface Pass {
  /** The last project that is done; empty at the beginning. */
  after: string;
  /** How many keys could not be opened, or projects' keys not be read, since the beginning. */
  failures: number;
  notBeforeMs: number;
  /** Whether it has been through all projects once. */
  isDone: boolean;
}

interface State extends ReplaceParts {
  readonly reseal: Pass;
  readonly rewrap: Pass;
  readonly said: Set<string>;
}

/**
 * Makes the work that replaces the master key while everything runs. Each run does a part of it:
 *
 * 1. Seals with data keys what an earlier version has sealed with the master key itself. A signing key that no master key
 *    opens stays as it is.
 * 2. Then makes EASYCRON_MASTER_KEY the key that seals, once every live dispatcher is configured with it.
 * 3. Seals the data keys with it that another master key seals.
 *
 * Any number of dispatchers may run it at once. No signing key changes by it. Throws SERVICE_UNAVAILABLE.
 */
export function createMasterKeyReplacement(parts: ReplaceParts): () => Promise<Wanted> {
  const newPass = (): Pass => ({
    after: "",
    failures: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    isDone: false,
  });
  const state: State = { ...parts, reseal: newPass(), rewrap: newPass(), said: new Set() };
  return () => replace(state);
}

async function replace(state: State): Promise<Wanted> {
  const { database, masterKeys } = state;
  const { wanted } = masterKeys;
  const [todo] = await database.query(masterKeyState);
  if (todo === undefined) return { more: false };
  let more = false;
  if (todo.has_old_format) more = await run(state, state.reseal, resealPart);
  // Before that, a dispatcher that is started without the previous master key could not open these signing keys.
  const isResealed = !todo.has_old_format || state.reseal.isDone;
  const inUse = todo.key_id === wanted.id || (isResealed && (await use(state, todo.key_id)));
  if (!inUse) return { more };
  if (todo.has_other || todo.key_id !== wanted.id)
    return { more: (await run(state, state.rewrap, rewrapPart)) || more };
  if (masterKeys.all.length > 1 && isResealed)
    sayOnce(state, "EASYCRON_PREVIOUS_MASTER_KEY is no longer needed");
  return { more };
}

/** Tries to make the wanted key the one that seals. Returns whether it is. */
async function use(state: State, present: string): Promise<boolean> {
  const { id, checkValue } = state.masterKeys.wanted;
  const [row] = await state.database.query(masterKeyUse, [id, checkValue]);
  if (row?.key_id === id) {
    state.logger.info({ masterKeyId: id, previousMasterKeyId: present }, "the master key is replaced");
    return true;
  }
  sayOnce(state, "the master key is replaced when every dispatcher has the new one");
  return false;
}

function sayOnce({ said, logger, masterKeys }: State, message: string): void {
  if (said.has(message)) return;
  said.add(message);
  logger.info({ masterKeyId: masterKeys.wanted.id }, message);
}

/** Runs the next part of a pass. Returns whether there is another part. */
async function run(
  state: State,
  pass: Pass,
  part: (state: State, pass: Pass) => Promise<readonly string[]>,
): Promise<boolean> {
  if (state.monotonicMs() < pass.notBeforeMs) return false;
  const projects = await part(state, pass);
  const last = projects.at(-1);
  if (last !== undefined && projects.length === AT_ONCE) {
    pass.after = last;
    return true;
  }
  if (pass.failures > 0) {
    pass.notBeforeMs = state.monotonicMs() + TROUBLE_PAUSE_MS;
    state.logger.warn(
      { failures: pass.failures, againMs: TROUBLE_PAUSE_MS },
      "some keys cannot be opened with the master keys, and stay as they are; their projects' webhooks may not be sent",
    );
  }
  pass.after = "";
  pass.failures = 0;
  pass.isDone = true;
  return false;
}

/** Seals the secrets of some projects with their data keys. Returns the projects. */
async function resealPart(state: State, pass: Pass): Promise<readonly string[]> {
  const rows = await state.database.query(projectsWithOldFormat, [pass.after, AT_ONCE]);
  const projects = rows.map(({ project_id }) => project_id);
  for (const projectId of projects) {
    try {
      pass.failures += await resealProject(state, projectId);
    } catch (error) {
      if (!isItemFault(error)) throw error;
      pass.failures += 1;
      state.onTrouble(error);
    }
  }
  return projects;
}

/** Seals the secrets of a project with its data key. Returns how many cannot be opened. */
function resealProject({ database, masterKeys, onTrouble }: State, projectId: string): Promise<number> {
  return database.transaction(async (tx) => {
    const dataKey = await lockDataKey(tx, masterKeys, projectId);
    let closed = 0;
    for (const { id, sealed_secret } of await tx.query(signingKeysOfOldFormat, [projectId])) {
      const bytes = openOrReport(masterKeys, { id, sealed_secret }, onTrouble);
      if (bytes === undefined) {
        closed += 1;
        continue;
      }
      const sealed = sealSecret(dataKey, { projectId, id, algorithm: "HMAC_SHA256" }, bytes);
      await tx.query(signingKeyReseal, [projectId, id, sealed]);
    }
    return closed;
  });
}

function openOrReport(
  masterKeys: MasterKeys,
  { id, sealed_secret }: OldFormatRow,
  onTrouble: (error: unknown) => void,
): Buffer | undefined {
  try {
    return openWithAny(masterKeys, id, sealed_secret);
  } catch (error) {
    onTrouble(error);
    return undefined;
  }
}

/** Seals some data keys with the wanted master key. Returns the projects whose data keys were looked at. */
function rewrapPart(state: State, pass: Pass): Promise<readonly string[]> {
  const { database, masterKeys } = state;
  const { wanted } = masterKeys;
  return database.transaction(async (tx) => {
    const rows = await tx.query(dataKeysOfOthers, [wanted.id, pass.after, AT_ONCE]);
    const projects: string[] = [];
    const wrapped: string[] = [];
    for (const row of rows) {
      try {
        const bytes = unwrapDataKey(masterKeys, row);
        wrapped.push(wrapDataKey(wanted, row.project_id, bytes).toString("hex"));
        projects.push(row.project_id);
      } catch (error) {
        pass.failures += 1;
        state.onTrouble(error);
      }
    }
    if (projects.length > 0) await tx.query(dataKeysRewrap, [wanted.id, projects, wrapped]);
    return rows.map(({ project_id }) => project_id);
  });
}
