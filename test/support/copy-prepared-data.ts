import { inject } from "vitest";
import { copyFolder } from "./copy-folder.ts";
// Only for the types of what `inject` returns.
import type {} from "./global-postgres.ts";

/**
 * Copies the prepared data of the test run, so that the product starts on `dataDir` without initdb and migrations. A
 * copy takes 0.2 s of CPU time; making the data anew takes 1.8 s.
 */
export async function copyPreparedData(dataDir: string): Promise<void> {
  await copyFolder(inject("easycronPostgres").preparedData, dataDir);
}
