import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const main = resolve(import.meta.dirname, "conformance/main.ts");

test.each([
  ["fails", [], 1],
  ["is passed over if it is optional", ["--optional"], 0],
])("without Go, the conformance suite %s, and one line says that it was not run", async (_, args, wanted) => {
  const empty = await mkdtemp(join(tmpdir(), "easycron-no-go-"));
  try {
    const ended = await new Promise<{ code: unknown; stdout: string }>((done) => {
      const env = { PATH: empty, GOROOT: empty };
      execFile(process.execPath, [main, "--cache", empty, ...args], { env }, (error, stdout) =>
        done({ code: error?.code ?? 0, stdout }),
      );
    });
    expect(ended).toEqual({
      code: wanted,
      stdout:
        "conformance: the Connect conformance suite was NOT RUN. " +
        "Go is not installed; install Go 1.25 or newer to run it.\n",
    });
  } finally {
    await rm(empty, { recursive: true });
  }
});
