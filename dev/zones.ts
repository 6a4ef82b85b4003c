// `npm run zones`: computes the offsets of all time zones in the release that Node has, and writes them to a file.
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { zoneNames } from "../cron/zone.ts";
import { COMPUTED_TABLES_FILE, formatComputedTables } from "../scheduler/zones/computed-tables.ts";
import { ownRelease, tablesOf } from "../scheduler/zones/zone-data.ts";

const release = ownRelease();
const tables = tablesOf(release, zoneNames());
await writeFile(COMPUTED_TABLES_FILE, formatComputedTables(release.version, tables));
console.log(`wrote release ${release.version} to ${fileURLToPath(COMPUTED_TABLES_FILE)}`);
