import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError, systemCode } from "./start-error.ts";

/** Creates the data directory if it does not exist. Throws a StartError when no file can be created in it. */
export function openDataDirectory(directory: string): void {
  const probe = join(directory, `.probe-${process.pid}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(join(directory, "log"), { recursive: true, mode: 0o700 });
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (cause) {
    const code = systemCode(cause) ?? String(cause);
    throw new StartError(
      `The data directory ${directory} cannot be written (${code}). ` +
        "Make it writable, or set EASYCRON_DATA_DIR to another folder.",
      { cause },
    );
  }
}

/**
 * Writes a file that only its owner may read. The write is atomic: after a failure, the path has the old content or
 * the new content, never a part of it.
 */
export function writePrivateFile(path: string, text: string): void {
  const making = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(making, "w", 0o600);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(making, path);
  } finally {
    rmSync(making, { force: true });
  }
}
