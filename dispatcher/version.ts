import { readFileSync } from "node:fs";

/** Reads the product's version from package.json. Throws if it has none. */
export function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version }: { version?: unknown } = JSON.parse(text);
  if (typeof version !== "string") throw new Error("package.json has no version; add the field `version`.");
  return version;
}
