import { pause } from "../../mesh/pause.ts";
import { askAll } from "./admin.ts";
import type { Connection } from "./connection.ts";

/** How many keys the server looks at in one step; it serves nobody else meanwhile. About 0.2 ms. */
const PAGE_KEYS = 500;
/** The longest pause between two pages. */
const MAX_PAUSE_MS = 50;

/**
 * Goes through all keys of the server, or those that match a pattern, and hands them over page by page. After each page it
 * pauses for as long as the page took, so that others have the server at least half of the time. A key that is written
 * meanwhile may be missed, and a key may be given twice.
 */
export async function scanKeys(
  connection: Connection,
  signal: AbortSignal,
  onPage: (keys: readonly string[]) => Promise<void>,
  match?: string,
): Promise<void> {
  let cursor = "0";
  do {
    signal.throwIfAborted();
    const startedMs = performance.now();
    const options = ["COUNT", String(PAGE_KEYS), ...(match === undefined ? [] : ["MATCH", match])];
    const [page] = await askAll(connection, signal, [["SCAN", cursor, ...options]]);
    const [next, keys] = page as [string, string[]];
    if (keys.length > 0) await onPage(keys);
    cursor = next;
    const tookMs = performance.now() - startedMs;
    if (cursor !== "0") await pause(Math.min(tookMs, MAX_PAUSE_MS));
  } while (cursor !== "0");
}
