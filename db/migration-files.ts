import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** A migration that a database has. */
export interface AppliedMigration {
  readonly number: number;
  /** The name of its file. */
  readonly name: string;
  /** SHA-256 of the file's text, in hexadecimal. */
  readonly checksum: string;
}

/** A migration of this version. */
export interface Migration extends AppliedMigration {
  readonly text: string;
}

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));

/** Reads the migrations of this version, in their order. Throws an Error when a number is missing. */
export async function readMigrations(): Promise<readonly Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const number = Number(name.slice(0, 4));
      if (number !== index + 1) throw new Error(`Migration ${name} must have the number ${index + 1}.`);
      const text = await readFile(FOLDER + name, "utf8");
      return { number, name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

/**
 * Compares what a database has with the migrations of this version. Returns a sentence when the database has a
 * migration that this version does not have, or one whose text differs from this version's file; else undefined. A
 * database that lacks migrations of this version does not differ.
 */
export function describeDifference(
  applied: readonly AppliedMigration[],
  migrations: readonly Migration[],
): string | undefined {
  for (const [index, row] of applied.entries()) {
    const known = migrations[index];
    if (known === undefined || known.number !== row.number) {
      return (
        `The database has migration ${row.name}, and this version ends with ${migrations.at(-1)?.name}: ` +
        "a newer version has used the database. Start that version, or use another database."
      );
    }
    if (known.checksum !== row.checksum) {
      return (
        `Migration ${row.name} of the database differs from this version's file of that name. ` +
        "Start the version that made this database, or use another database."
      );
    }
  }
  return undefined;
}
