import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError, systemCode } from "./start-error.ts";

/** Makes the data directory if there is none, and proves that files can be made in it. Throws a StartError. */
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
      `The data directory ${directory} cannot be written: ${code}. ` +
        "Make it writable, or set EASYCRON_DATA_DIR to another folder.",
      { cause },
    );
  }
}

/** Writes a file that only its owner may read, so that it appears whole or not at all, whatever fails meanwhile. */
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
