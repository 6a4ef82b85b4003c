import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

async function readTree(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return new Map(files.map((file, index) => [file.slice(folder.length + 1), texts[index] ?? ""]));
}

test.each([
  ["gen", "buf.gen.yaml", "gen"],
  ["sdk/gen", "sdk/buf.gen.yaml", "sdk/gen"],
  ["test/conformance/gen", "test/conformance/buf.gen.yaml", "test/conformance/gen"],
])("the committed code in %s is what buf generates from the protos", async (_name, template, committed) => {
  const folder = await mkdtemp(join(tmpdir(), "easycron-gen-"));
  try {
    await promisify(execFile)("buf", ["generate", "--template", template, "--output", folder], {
      cwd: root,
      env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` },
    });
    expect(await readTree(join(folder, committed))).toEqual(await readTree(join(root, committed)));
  } finally {
    await rm(folder, { recursive: true });
  }
});
