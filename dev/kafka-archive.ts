import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What a server does with the archive of Java's loaded classes. */
export interface ArchivePlan {
  /** Java's options. */
  readonly flags: readonly string[];
  /** Keeps the archive that the server has written. Called after the server has stopped. */
  keep(): void;
}

/**
 * Returns how a server uses the archive of loaded classes in the folder of its jars: it reads the one of this Java. If
 * there is none, it writes one when it stops, provided that `writes` is true.
 */
export function planArchive(jarsFolder: string, writes: boolean): ArchivePlan {
  // Java refuses an archive of another Java.
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  const java = createHash("sha256").update(stderr).digest("hex").slice(0, 12);
  const archive = join(jarsFolder, `classes-${java}.jsa`);
  if (existsSync(archive)) return { flags: [`-XX:SharedArchiveFile=${archive}`], keep: () => {} };
  if (!writes) return { flags: [], keep: () => {} };
  // A server that is killed while it writes leaves half an archive, so the archive gets its name afterwards.
  const making = `${archive}.${process.pid}`;
  const keep = () => {
    try {
      renameSync(making, archive);
    } catch {
      // The server was killed, so it wrote nothing. A later one writes the archive.
      rmSync(making, { force: true });
    }
  };
  return { flags: [`-XX:ArchiveClassesAtExit=${making}`, "-Xlog:cds=off", "-Xlog:cds+dynamic=off"], keep };
}
