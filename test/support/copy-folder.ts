import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

/** Copies the content of a folder. The files keep their owners, because PostgreSQL may run as another user. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await promisify(execFile)("cp", ["-Rp", `${from}/.`, to]);
}
